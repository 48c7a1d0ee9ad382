"""Reading Keras' frozen answers, whole or reduced, and what goes with them, from an archive anybody may have made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline import subsets
from pipeline.array_archive import ArrayArchive
from pipeline.budget_rule import (
    ORDINARY,
    Answer,
    FeatureBudget,
    are_unlike,
    derived_by_feature,
    feature_errors,
    features_of,
)
from pipeline.errors import BadInput
from pipeline.records import Truth
from pipeline.subsets import Reduced


def answer(arrays: ArrayArchive, case: str, group: str, output: str) -> Answer | None:
    """An output's answer to the case of that key, whole or reduced (`subsets`); None where there is none.

    Raises:
        BadInput: if a reduced answer's parts are missing or don't fit together.
    """
    key = f"{case}/{group}/{output}"
    if key in arrays:
        return arrays[key]
    parts = {part: f"{case}/{group}.{part}/{output}" for part in subsets.PARTS}
    missing = [own for own in parts.values() if own not in arrays]
    if len(missing) == len(parts):
        return None
    if missing:
        raise BadInput(f"the frozen truth holds no {missing[0]!r}, which goes with its others: freeze the truth again")
    try:
        return subsets.from_arrays(subsets.seed_of(case, output), {part: arrays[own] for part, own in parts.items()})
    except ValueError as error:
        raise BadInput(f"{key!r} in the frozen truth can't be read: {error}; freeze the truth again") from error


def are_alike(one: Answer, other: Answer) -> bool:
    """Whether two answers can be laid beside each other: of one shape, both whole, or reduced to the same elements."""
    if isinstance(one, Reduced) and isinstance(other, Reduced):
        return one.shape == other.shape and np.array_equal(one.extremes, other.extremes)
    return not isinstance(one, Reduced) and not isinstance(other, Reduced) and one.shape == other.shape


def open_elements(arrays: ArrayArchive, case: str, answers: Mapping[str, Answer]) -> dict[str, np.ndarray]:
    """For outputs that have elements which floating-point numbers leave open, where: booleans of the answer's shape.

    Raises:
        BadInput: if what is kept does not fit the answer.
    """
    return _extra(arrays, f"{case}/open", answers, _unpacked)


def noise_by_feature(arrays: ArrayArchive, case: str, answers: Mapping[str, Answer]) -> dict[str, np.ndarray]:
    """What noise moves each feature by, (features,), for outputs whose features were asked about one by one.

    Raises:
        BadInput: if what is kept does not fit the answer.
    """
    return _extra(arrays, f"{case}/noise", answers, _moves)


def _extra(
    arrays: ArrayArchive,
    group: str,
    answers: Mapping[str, Answer],
    read: Callable[[np.ndarray, Answer], np.ndarray | None],
) -> dict[str, np.ndarray]:
    found = {}
    for name, given in answers.items():
        key = f"{group}/{name}"
        if key in arrays:
            value = read(arrays[key], given)
            if value is None:
                raise BadInput(f"{key!r} in the frozen truth does not fit the answer: freeze the truth again")
            found[name] = value
    return found


def _unpacked(packed: np.ndarray, given: Answer) -> np.ndarray | None:
    if packed.dtype != np.uint8 or packed.shape != ((given.size + 7) // 8,):
        return None
    return np.unpackbits(packed, count=given.size).astype(bool).reshape(given.shape)


def _moves(moves: np.ndarray, given: Answer) -> np.ndarray | None:
    fits = moves.shape == (features_of(given),) and moves.dtype.kind == "f"
    return moves.astype(np.float64) if fits and np.isfinite(moves).all() and (moves >= 0).all() else None


@dataclass(frozen=True)
class OfOutput:
    """One output in one case: Keras' answers, the elements left open, and what noise moves each feature by."""

    kind: str
    float32: Answer
    float64: Answer
    open: np.ndarray | None
    noise: np.ndarray | None


def feature_budgets(output: str, dtype: str, found: Iterable[OfOutput], truth: Truth) -> dict[str, FeatureBudget]:
    """The budgets of an output's features by kind of case; none where they have scales alike, or no features.

    Where no noise by feature was frozen, each is allowed what noise makes of the output as a whole.
    """
    held = list(found)
    ordinary = [each for each in held if each.kind in ORDINARY]
    if not ordinary or any(features_of(each.float64) is None for each in held):
        return {}
    errors = [feature_errors(each.float32, each.float64, each.open) for each in held]
    pairs = list(zip(held, errors, strict=True))
    typical = np.max([scales for each, (_, scales) in pairs if each.kind in ORDINARY], axis=0)
    if not are_unlike(typical):
        return {}
    budgets = {}
    for kind in dict.fromkeys(each.kind for each in held):
        budget = truth.budget(output, kind)
        own = [(each, pair) for each, pair in pairs if each.kind == kind]
        whole = 0.0 if budget is None else budget.noise
        noise = [
            (np.full_like(scales, whole * scales.max()) if each.noise is None else each.noise, scales)
            for each, (_, scales) in own
        ]
        budgets[kind] = derived_by_feature(dtype, [pair for _, pair in own], noise, typical)
    return budgets
