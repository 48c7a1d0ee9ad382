"""The cases in which weights are moved: all of them at random, and the shared ones in rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.graph.weights import Weight
from pipeline.oracle.asking import Move, Moves
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.visibility import GAINS
from pipeline.records import RANDOM_WEIGHTS, RANDOM_WEIGHTS_KEY, ROUND, ROUND_KEY, Case, Plan
from pipeline.truth.plan import codes
from pipeline.weight_map.perturb import Moving


def hide_something(weights: Sequence[Weight], snapshot: Snapshot) -> tuple[str, ...]:
    """The names of the weights that hold one number throughout, as a fresh layer's do.

    A converter may lose them unseen. A lone number counts if it is 0 or 1. Random weights are floating-point numbers.
    """
    floats = (each for each in weights if "float" in str(each.variable.dtype))
    return tuple(each.name for each in floats if _is_constant(snapshot.value(each.variable)))


def _is_constant(value: np.ndarray) -> bool:
    if value.size < 2:
        return value.size == 1 and value.item() in (0, 1)
    return bool((value == value.flat[0]).all())


def bases(ordinary: Case, seed: int, *, is_randomised: bool) -> list[Case]:
    """The cases that rounds may be asked on, best first: with the model's own weights, unless they hide something.

    Args:
        ordinary: a case of random inputs, whose inputs they have.
        seed: of random weights.
        is_randomised: whether the model's own weights hide something.
    """
    random = {"key": RANDOM_WEIGHTS_KEY, "kind": RANDOM_WEIGHTS, "inputs_of": ordinary.key, "random_seed": seed}
    others = [ordinary.model_copy(update={**random, "random_gain": gain}) for gain in GAINS]
    return others if is_randomised else [ordinary, *others]


def round_cases(base: Case, ordinary: Case, shared: Sequence[Weight], seed: int) -> Iterator[Case]:
    """The rounds in which shared weights are moved.

    Args:
        base: whose weights they start from.
        ordinary: whose inputs they have.
        shared: the weights that several call sites read and that can be moved, in the order of the rounds' codes.
        seed: of the moves.
    """
    for number, places in enumerate(codes(len(shared)), start=1):
        yield base.model_copy(
            update={
                "key": ROUND_KEY.format(number),
                "kind": ROUND.format(number),
                "inputs_of": ordinary.key,
                "weights": tuple(shared[place].name for place in places),
                "weight_seed": moves_seed(seed),
            }
        )


def moved_kinds(plan: Plan) -> tuple[str, ...]:
    """The kinds of all cases with moved weights that a plan has."""
    return (RANDOM_WEIGHTS, *(ROUND.format(number) for number in range(1, plan.rounds + 1)))


def moves_seed(seed: int) -> int:
    """Another seed than that of random weights: the same moves twice would be smaller ones."""
    return seed + 1


def moves(case: Case, weights: Sequence[Weight], snapshot: Snapshot) -> Moves:
    """The weights that a case moves (`weight_map.perturb`)."""

    def steps(moving: Moving) -> tuple[Move, ...]:
        return tuple(
            (snapshot.number(each.variable), seed, gain)
            for each in weights
            for seed, gain in moving.steps(each.name, str(each.variable.dtype))
        )

    moving = Moving(case)
    return Moves(steps(moving.base), steps(moving.on_base))
