"""Errors of an output in full: absolute, relative, in units in the last place."""

from __future__ import annotations

import numpy as np

from pipeline.records import ErrorFigures, Spread


def error_figures(answer: np.ndarray, reference: np.ndarray) -> ErrorFigures:
    """The errors of `answer` against `reference`, of one shape, where both are finite.

    Exact zeros on both sides are no error, whatever the measure: a statistic must not turn into NaN, and a check that
    compares it into one that passes.
    """
    dtype = answer.dtype if np.issubdtype(answer.dtype, np.floating) else np.dtype(np.float64)
    finite = np.isfinite(answer) & np.isfinite(reference)
    found, exact = answer[finite].astype(np.float64), reference[finite].astype(np.float64)
    absolute = np.abs(found - exact)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.where(absolute == 0, 0.0, absolute / np.abs(exact))
        unit = np.spacing(np.abs(exact).astype(dtype)).astype(np.float64)
        # Beyond the dtype's range there is no unit; the error there is the absolute one, and large.
        ulps = np.where(absolute == 0, 0.0, absolute / np.where(np.isfinite(unit), unit, 1.0))
    return ErrorFigures(
        absolute=_spread(absolute),
        relative=_spread(relative),
        ulps=_spread(ulps),
        cosine=_cosine(found, exact),
        elements=int(finite.sum()),
    )


def _spread(errors: np.ndarray) -> Spread:
    if not errors.size:
        return Spread(largest=0.0, median=0.0, percentile_99=0.0)
    # Of errors that were made, not between them: two infinite ones would give NaN.
    median, percentile = np.quantile(errors, (0.5, 0.99), method="higher")
    return Spread(largest=float(errors.max()), median=float(median), percentile_99=float(percentile))


def _cosine(found: np.ndarray, exact: np.ndarray) -> float:
    """Scaled first, so that neither large nor small numbers leave the range when they are squared."""
    scales = [np.max(np.abs(each), initial=0.0) for each in (found, exact)]
    if not all(scales):
        return float(not any(scales))
    one, other = (each / scale for each, scale in zip((found, exact), scales, strict=True))
    # Sums of products and not `@`: beside a runtime's spinning threads those of BLAS wait for a core.
    norms = np.sqrt(np.sum(one * one)) * np.sqrt(np.sum(other * other))
    return float(np.clip(np.sum(one * other) / norms, -1.0, 1.0))
