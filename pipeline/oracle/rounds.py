"""The cases in which weights are moved: all of them at random, and the shared ones in rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline import weight_values
from pipeline.graph.weights import Weight
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import Case
from pipeline.truth.plan import codes

# The kinds of their cases: each has a budget of its own, so that none widens another's.
RANDOM_WEIGHTS = "random weights"
ROUND = "shared weights moved, round {}"


def can_be_moved(weight: Weight) -> bool:
    """Whether a weight's elements can be off by some per cent."""
    return "float" in str(weight.variable.dtype)


def hide_something(weights: Sequence[Weight], snapshot: Snapshot) -> tuple[str, ...]:
    """The names of the weights that hold one number throughout, as a fresh layer's do: a converter may lose them unseen.

    A lone number counts if it is 0 or 1.
    """
    return tuple(
        each.name for each in weights if can_be_moved(each) and _is_constant(snapshot.value(each.variable))
    )


def _is_constant(value: np.ndarray) -> bool:
    if value.size < 2:
        return value.size == 1 and value.item() in (0, 1)
    return bool((value == value.flat[0]).all())


def moved_cases(base: Case, shared: Sequence[Weight], seed: int, *, is_randomised: bool) -> Iterator[Case]:
    """The cases in which weights are moved, all of them on the inputs of one other case.

    Where the model's own weights hide something, that is first a case of other ones, drawn at random, and then the
    rounds, on random weights too.

    Args:
        base: whose inputs they have.
        shared: the weights that several call sites read and that can be moved.
        seed: of everything that is random.
        is_randomised: whether the model's own weights hide something.
    """
    random_seed = seed if is_randomised else None
    plain = {"inputs_of": base.key, "inputs_sha256": None}
    if is_randomised:
        update = {**plain, "key": "random_weights", "kind": RANDOM_WEIGHTS, "random_seed": random_seed}
        yield base.model_copy(update=update)
    for number, places in enumerate(codes(len(shared)), start=1):
        names = tuple(shared[place].name for place in places)
        update = {**plain, "key": f"round{number}", "kind": ROUND.format(number), "weights": names}
        # Another seed than that of the random values: the same moves twice would be smaller ones.
        yield base.model_copy(update={**update, "random_seed": random_seed, "weight_seed": seed + 1})


def moves(case: Case, weights: Sequence[Weight], snapshot: Snapshot) -> list[tuple[int, int]]:
    """The weights that a case moves, by the number of their copy, each with the seed by which it is moved."""
    found = []
    if case.random_seed is not None:
        floats = [each for each in weights if can_be_moved(each)]
        found += [(each, weight_values.seed_of(each.name, case.random_seed)) for each in floats]
    chosen = [each for each in weights if each.name in set(case.weights)]
    found += [(each, weight_values.seed_of(each.name, case.weight_seed)) for each in chosen]
    return [(snapshot.number(each.variable), seed) for each, seed in found]
