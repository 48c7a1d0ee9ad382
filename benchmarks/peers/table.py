"""The comparisons as text."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator

from benchmarks.peers.comparison import FOLD, FOLD_BATCH, MARGIN, Comparison, Comparisons
from benchmarks.peers.files import OURS, PEERS


def rendered(comparisons: Comparisons, at_least_fold: Collection[str]) -> str:
    """A line a cell, why files are missing, and how the cells stand against the two bars.

    Args:
        comparisons: the run.
        at_least_fold: the models that must be `FOLD` times as fast as the fastest peer at batch `FOLD_BATCH`.
    """
    cells = comparisons.cells
    width = max((len(cell.model) for cell in cells), default=5)
    head = f"{'model':{width}}  batch  ours, µs" + "".join(f"  {peer + ' / ours':>22}" for peer in PEERS)
    lines = [head, *(_line(cell, width) for cell in cells), ""]
    missing = [f"no file that counts: {key}: {reason}" for key, reason in comparisons.no_file.items()]
    return "\n".join([*lines, *missing, *([""] if missing else []), *_verdicts(comparisons, at_least_fold)])


def misses(comparisons: Comparisons, at_least_fold: Collection[str]) -> list[str]:
    """A line for each cell that does not hold its bar, and for each model that we have no file of."""
    return [*_without_ours(comparisons), *_lost(comparisons.cells), *_below_fold(comparisons.cells, at_least_fold)]


def _line(cell: Comparison, width: int) -> str:
    ratios = "".join(f"  {_ratio(cell, peer):>22}" for peer in PEERS)
    mark = "  loses" if cell.loses else "  same operators" if cell.is_same_graph else ""
    return f"{cell.model:{width}}  {cell.batch:5}  {cell.ours_s * 1e6:8.1f}{ratios}{mark}"


def _ratio(cell: Comparison, peer: str) -> str:
    if peer not in cell.ratios:
        return "-"
    found = cell.ratios[peer]
    return f"{found.ratio:.3g} ({found.low:.3g} to {found.high:.3g})"


def _verdicts(comparisons: Comparisons, at_least_fold: Collection[str]) -> Iterator[str]:
    cells = comparisons.cells
    against = [cell for cell in cells if cell.fastest is not None and not cell.is_same_graph]
    best = sorted(cell.ratios[cell.fastest].ratio for cell in against if cell.fastest is not None)
    same = sum(cell.is_same_graph for cell in cells)
    alone = sum(cell.fastest is None for cell in cells)
    yield f"{len(cells)} cells: {alone} where no peer has a file, {same} where the fastest peer has the same operators"
    if best:
        yield (
            f"fastest peer / ours in the other {len(best)}: median {statistics.median(best):.3g}, "
            f"smallest {best[0]:.3g}, largest {best[-1]:.3g}"
        )
    yield from _without_ours(comparisons)
    lost, below = list(_lost(cells)), list(_below_fold(cells, at_least_fold))
    yield f"slower than the fastest peer by more than {MARGIN - 1:.0%}: {len(lost)}"
    yield from lost
    yield f"below {FOLD:g} times at batch {FOLD_BATCH} of {', '.join(sorted(at_least_fold))}: {len(below)}"
    yield from below


def _without_ours(comparisons: Comparisons) -> Iterator[str]:
    ends = f"/{OURS}"
    yield from (f"we have no file of {key.removesuffix(ends)}" for key in comparisons.no_file if key.endswith(ends))


def _lost(cells: Collection[Comparison]) -> Iterator[str]:
    for cell in cells:
        if cell.loses and cell.fastest is not None:
            yield f"  {cell.model}, batch {cell.batch}: {cell.fastest} takes {_ratio(cell, cell.fastest)} of our time"


def _below_fold(cells: Collection[Comparison], at_least_fold: Collection[str]) -> Iterator[str]:
    for cell in cells:
        fastest = cell.fastest
        if cell.model not in at_least_fold or cell.batch != FOLD_BATCH:
            continue
        if fastest is None:
            yield f"  {cell.model}: no peer has a file to compare with"
        elif cell.ratios[fastest].ratio < FOLD:
            yield f"  {cell.model}: {fastest} takes {_ratio(cell, fastest)} times as long"
