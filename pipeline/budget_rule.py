"""The rule by which a budget follows from Keras' own error, with its one set of constants.

Its derivation and the figures that the constants come from are told in docs/verification.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.cases import RANDOM
from pipeline.records import Budget
from pipeline.subsets import MOST_FEATURES, Reduced

Answer = np.ndarray | Reduced

# Two orders of summation err alike, not equally: an artifact may err so many times as much as Keras did,
FACTOR = 4.0
# or so many times as much as a unit of noise at every call site makes,
NOISE_FACTOR = 2.0
# and so many units in the last place of the output's scale more, where Keras happened to err little or not at all.
ULPS = 4.0
# Noise that moves an output by more than a tenth of its scale says that nothing about it is decided: told by name, and
# nothing that an output may do for ordinary inputs.
CEILING = 0.1
# Where the features of an output (its last axis) have scales so many times apart, the largest one's budget would allow
# the smallest anything, and each is judged by its own. Below that a loss of all of a feature is far beyond a budget.
UNLIKE = 100.0
# A scale below that is next to nothing: what lies beside it is counted as if it were so large.
_LEAST_SCALE = float(np.finfo(np.float32).smallest_normal)
# Stated where there is no reference: a few hundred units in the last place of the coarsest precision that
# a layer computes in, relative to the largest value of the output.
_STATED = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 5e-2}
_STATED_ABSOLUTE = 1e-6
# A model of more weights than these (4 GiB in float64, twice that while they are filled) has no reference: a clone is
# not worth a machine's memory.
MOST_ELEMENTS = 2**29
# The kinds of cases that tell an output's ordinary scale.
ORDINARY = (RANDOM, "real")


def derived(output: str, kind: str, dtype: str, own: tuple[float, float], typical: float) -> Budget:
    """The budget of an output in the cases of a kind.

    Args:
        output: its name.
        kind: of the cases.
        dtype: of the output.
        own: Keras' float32 error, and what noise of a unit at every call site makes (`truth/noise.py`), each relative
            to its case's scale, the largest over the cases.
        typical: the output's scale in ordinary cases.
    """
    limits = np.finfo(dtype)
    return Budget(
        output=output,
        kind=kind,
        rule="derived",
        # Where a case makes the output small, what lies between may be as large as ever, and so may its errors: units
        # count at the scale that the output has for ordinary inputs. Below the smallest normal number a unit is no
        # fraction of the value any more.
        absolute=ULPS * (float(limits.eps) * typical + float(limits.smallest_normal)),
        relative=max(FACTOR * own[0], NOISE_FACTOR * own[1]) + ULPS * float(limits.eps),
        keras=own[0],
        noise=own[1],
    )


def stated(output: str, kind: str, precisions: Iterable[str]) -> Budget:
    """The budget of an output for which there is no reference, by the coarsest of the precisions it is computed in."""
    relative = max(_STATED.get(precision, 0.0) for precision in {*precisions, "float32"})
    return Budget(output=output, kind=kind, rule="stated", absolute=_STATED_ABSOLUTE, relative=relative)


def stated_for(budget: Budget) -> tuple[str, ...]:
    """The precisions for which the rule states this budget; none where it is of somebody's own making."""
    if budget.absolute != _STATED_ABSOLUTE:
        return ()
    return tuple(precision for precision, relative in _STATED.items() if relative == budget.relative)


def largest_error(found: Answer, exact: Answer, left_out: np.ndarray | None = None) -> tuple[float, float]:
    """The largest error of the elements that are finite in both, and the scale: the largest of their exact values.

    Args:
        found: an answer, whole where `exact` is, whole or reduced where that is reduced.
        exact: what it is compared with.
        left_out: elements of the whole that do not count.
    """
    values, reference = side_by_side(found, exact, left_out)
    finite = np.isfinite(reference) & np.isfinite(values)
    if not finite.any():
        return 0.0, 0.0
    error = np.abs(values[finite].astype(np.float64) - reference[finite])
    scale = exact.scale if isinstance(exact, Reduced) else float(np.abs(reference[finite]).max())
    return float(error.max()), scale


def side_by_side(found: Answer, exact: Answer, left_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The elements of two answers that are there of both, flat; the exact ones in float64, NaN where left out."""
    if isinstance(exact, Reduced):
        values, reference = found.values if isinstance(found, Reduced) else exact.of(found), exact.values
        open_ = None if left_out is None else exact.of(left_out)
    else:
        assert not isinstance(found, Reduced)
        values, reference = found.reshape(-1), exact.reshape(-1)
        open_ = None if left_out is None else left_out.reshape(-1)
    wide = reference.astype(np.float64)
    return values, wide if open_ is None else np.where(open_, np.nan, wide)


def features_of(exact: Answer) -> int | None:
    """How many features an answer has that can be judged each by its own scale; None if that is not done."""
    several = len(exact.shape) > 1 and 2 <= exact.shape[-1] <= MOST_FEATURES
    return int(exact.shape[-1]) if several else None


def are_unlike(scales: np.ndarray) -> bool:
    """Whether scales (features,) lie so far apart that each feature is judged by its own."""
    positive = scales[scales > 0]
    return bool(positive.size > 1 and positive.max() > UNLIKE * positive.min())


def feature_errors(found: Answer, exact: Answer, left_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The largest error and the scale of each feature, both (features,), as `largest_error` has them for all."""
    count = features_of(exact)
    assert count is not None
    values, reference = side_by_side(found, exact, left_out)
    finite = np.isfinite(reference) & np.isfinite(values)
    error = np.where(finite, np.abs(np.where(finite, values, 0).astype(np.float64) - reference), 0.0)
    if isinstance(exact, Reduced):
        largest = np.zeros(count)
        np.maximum.at(largest, exact.places % count, error)
        return largest, exact.scales
    scale = np.where(finite, np.abs(reference), 0.0)
    return error.reshape(-1, count).max(axis=0), scale.reshape(-1, count).max(axis=0)


@dataclass(frozen=True)
class FeatureBudget:
    """How far each feature of an output may lie from the reference in the cases of one kind: both (features,)."""

    absolute: np.ndarray
    relative: np.ndarray

    def at(self, scales: np.ndarray, most: float) -> np.ndarray:
        """What each is allowed in a case of these scales: by its own, and never more than the output as a whole.

        A feature that is nothing for ordinary inputs has no scale of its own.
        """
        own = self.absolute + self.relative * scales
        return np.where(self.absolute > 0, np.minimum(own, most), most)


def derived_by_feature(
    dtype: str,
    own: list[tuple[np.ndarray, np.ndarray]],
    noise: list[tuple[np.ndarray, np.ndarray]],
    typical: np.ndarray,
) -> FeatureBudget:
    """The rule of `derived` for each feature of an output.

    Args:
        dtype: of the output.
        own: Keras' float32 errors and the scales, (features,) each, for every case of the kind.
        noise: what noise makes, likewise.
        typical: the scales (features,) in ordinary cases.
    """
    limits = np.finfo(dtype)
    units = ULPS * (float(limits.eps) * typical + float(limits.smallest_normal))
    relative = np.maximum(FACTOR * _relative(own, typical), NOISE_FACTOR * _relative(noise, typical))
    return FeatureBudget(np.where(typical > 0, units, 0.0), relative + ULPS * float(limits.eps))


def _relative(pairs: list[tuple[np.ndarray, np.ndarray]], like: np.ndarray) -> np.ndarray:
    """The largest of (errors, scales), feature by feature; 0 where a feature has no scale."""
    largest = np.zeros_like(like)
    for errors, scales in pairs:
        with np.errstate(over="ignore"):
            relative = np.divide(errors, np.maximum(scales, _LEAST_SCALE), out=np.zeros_like(like), where=scales > 0)
        largest = np.maximum(largest, relative)
    return largest


def largest_relative(pairs: list[tuple[float, float]]) -> float:
    """The largest of (error, scale) pairs, each error relative to its scale, or to the smallest that is no denormal."""
    return max((error / max(scale, _LEAST_SCALE) for error, scale in pairs if scale > 0), default=0.0)


def differs(one: Budget, other: Budget) -> bool:
    """Whether two budgets are not the same, by more than the rounding of their own arithmetic."""
    pairs = ((one.absolute, other.absolute), (one.relative, other.relative), (one.keras, other.keras))
    return any(not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300) for a, b in pairs)
