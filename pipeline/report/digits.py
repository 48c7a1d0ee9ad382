"""Figures written with the digits that their spread supports."""

from __future__ import annotations

import math
import statistics

from pipeline.records import CellSamples, Ratio

_MOST_DECIMALS = 4
_MIB = 1 << 20
LEAST_SEEN_BYTES = _MIB // 20  # a smaller difference is rounded away
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def decimals_for(half_width: float, least: int = 0) -> int:
    """Decimals whose last place is the first one that `half_width` touches; an unknown (NaN) or zero one gives 2."""
    if not half_width > 0:
        return 2
    return min(_MOST_DECIMALS, max(least, -math.floor(math.log10(half_width))))


def ratio_text(ratio: Ratio) -> str:
    """The ratio and its interval; a bound that would round onto 1 and is not 1 gets another digit."""
    if math.isnan(ratio.low):
        return f"{ratio.ratio:.1f} (one process: no interval)"
    decimals = decimals_for((ratio.high - ratio.low) / 2, least=1)
    while (
        ratio.shows_difference
        and decimals < _MOST_DECIMALS
        and 1
        in (
            round(ratio.low, decimals),
            round(ratio.high, decimals),
        )
    ):
        decimals += 1
    return f"{ratio.ratio:.{decimals}f} ({ratio.low:.{decimals}f} to {ratio.high:.{decimals}f})"


def time_texts(*cells: CellSamples) -> tuple[str, ...]:
    """The median time of a call in each cell, all in one unit, to the digit in which processes differ.

    A cell's time is the middle one of its processes' medians; the widest cell decides on the digits.
    """
    medians = [[statistics.median(samples) for samples in cell.samples_s] for cell in cells]
    middles = [statistics.median(values) for values in medians]
    scale, unit = next(((size, name) for size, name in _UNITS if min(middles) >= size), _UNITS[-1])
    half_width = max((max(values) - min(values)) / 2 / scale for values in medians)
    if half_width >= 10:
        place = math.floor(math.log10(half_width))
        return tuple(f"{round(middle / scale, -place):.0f} {unit}" for middle in middles)
    decimals = min(2, decimals_for(half_width))
    return tuple(f"{middle / scale:.{decimals}f} {unit}" for middle in middles)


def mebibytes(size: float) -> str:
    """Bytes as MiB; a tenth is what memory repeats to."""
    return f"{size / _MIB:.1f} MiB"


def file_size(size: int) -> str:
    """Bytes as kB or MB, exact to three digits."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def percent_less(fewer: float, more: float) -> str:
    """How much less `fewer` is than `more`, in words."""
    share = 100 * (1 - fewer / more)
    if abs(share) < 0.5:
        return "the same"
    return f"{abs(share):.0f} % {'less' if share > 0 else 'more'}"
