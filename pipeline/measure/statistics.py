"""From paired samples to a ratio with an interval over worker processes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from scipy import stats

from pipeline.records import CellSamples, Ratio

CONFIDENCE = 0.95


def ratio(base: CellSamples, other: CellSamples) -> Ratio:
    """`other / base` of two variants that were timed in pairs: `unshared / shared` where those are compared.

    Each process gives one number, the median of its pairs' log ratios: what a process does to a variant for all its
    life (where its memory lies) is then one deviation, not one for each sample. The interval is Student's t over the
    processes. After a single process there is none: `low` and `high` are NaN.

    Raises:
        ValueError: if the two were not timed in pairs: other cells, or other numbers of samples.
    """
    _refuse_unpaired(base, other)
    pairs = zip(base.samples_s, other.samples_s, strict=True)
    medians = [median_log_ratio(*samples) for samples in pairs]
    centre = statistics.fmean(medians)
    half_width = _half_width(medians)
    return Ratio(
        subject=base.subject.cell,
        ratio=math.exp(centre),
        low=math.exp(centre - half_width),
        high=math.exp(centre + half_width),
        processes=len(medians),
    )


def ratios(cells: Iterable[CellSamples]) -> tuple[Ratio, ...]:
    """The ratio of every cell that was timed for both variants, in order of first appearance."""
    by_cell: dict[str, dict[str, CellSamples]] = {}
    for samples in cells:
        by_cell.setdefault(samples.subject.cell, {})[samples.subject.variant] = samples
    both = (found for found in by_cell.values() if {"shared", "unshared"} <= found.keys())
    return tuple(ratio(found["shared"], found["unshared"]) for found in both)


def median_log_ratio(base_s: Sequence[float], other_s: Sequence[float]) -> float:
    """The median over pairs of `log(other / base)`."""
    return statistics.median(math.log(other / base) for base, other in zip(base_s, other_s, strict=True))


def _half_width(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, df=len(values) - 1)
    return float(quantile * statistics.stdev(values) / math.sqrt(len(values)))


def _refuse_unpaired(base: CellSamples, other: CellSamples) -> None:
    counts = [[len(samples) for samples in cell.samples_s] for cell in (base, other)]
    if base.subject.cell != other.subject.cell or counts[0] != counts[1] or not all(counts[0]) or not counts[0]:
        found = f"{base.subject.key} {counts[0]} and {other.subject.key} {counts[1]}"
        raise ValueError(f"not timed in pairs: {found} samples in each process")
