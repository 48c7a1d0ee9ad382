"""The rule by which a budget follows from Keras' own error, with its one set of constants.

Its derivation and the figures that the constants come from are told in docs/verification.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pipeline.cases import RANDOM
from pipeline.records import Budget

# Two orders of summation err alike, not equally: an artifact may err so many times as much as Keras did,
FACTOR = 4.0
# or so many times as much as a unit of noise at every call site makes,
NOISE_FACTOR = 2.0
# and so many units in the last place of the output's scale more, where Keras happened to err little or not at all.
ULPS = 4.0
# Stated where there is no reference: a few hundred units in the last place of the coarsest precision that
# a layer computes in, relative to the largest value of the output.
_STATED = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 5e-2}
_STATED_ABSOLUTE = 1e-6
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


def largest_error(found: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """The largest error of the elements that are finite in both, and the scale: the largest of their exact values."""
    exact = exact.astype(np.float64)
    finite = np.isfinite(exact) & np.isfinite(found)
    if not finite.any():
        return 0.0, 0.0
    error = np.abs(found[finite].astype(np.float64) - exact[finite])
    return float(error.max()), float(np.abs(exact[finite]).max())


def largest_relative(pairs: list[tuple[float, float]]) -> float:
    """The largest of (error, scale) pairs, each error relative to its scale."""
    return max((error / scale for error, scale in pairs if scale > 0), default=0.0)


def differs(one: Budget, other: Budget) -> bool:
    """Whether two budgets are not the same, by more than the rounding of their own arithmetic."""
    pairs = ((one.absolute, other.absolute), (one.relative, other.relative), (one.keras, other.keras))
    return any(not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300) for a, b in pairs)
