"""`XlaDynamicUpdateSlice` (`slice_update`): a block of a tensor replaced by another one.

A start that would let the block hang over is moved back, as XLA does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = "XlaDynamicUpdateSlice"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by what lies before, in and behind the block, axis by axis."""
    c = Composition(ctx, node)
    x, update, starts = c.inputs
    start = c.cast(starts, INT64)
    most = c.op("Sub", c.op("Shape", x), c.op("Shape", update))
    start = c.op("Max", c.op("Min", start, most), c.constant(np.int64(0)))
    block = _Block(update, start, c.op("Add", start, c.op("Shape", update)))
    axes = [axis for axis in range(c.rank(x)) if not _is_whole(c, axis)]
    c.finish(_replaced(c, x, block, axes))


@dataclass(frozen=True)
class _Block:
    """What is put in, and where it starts and ends on each axis."""

    update: str
    start: str
    end: str


def _is_whole(c: Composition, axis: int) -> bool:
    """Whether the block is known to take up the whole axis."""
    sizes = [(c.ctx.get_shape(tensor) or {axis: -1})[axis] for tensor in c.inputs[:2]]
    return sizes[0] == sizes[1] and (sizes[0] or -1) > 0


def _replaced(c: Composition, x: str, block: _Block, axes: list[int]) -> str:
    """`x` with the block in it, where `axes` are those that it does not fill."""
    if not axes:
        return block.update
    axis, rest = c.ints(axes[0]), axes[1:]
    start, end = (c.op("Gather", place, axis) for place in (block.start, block.end))
    before = c.op("Slice", x, c.ints(0), start, axis)
    within = c.op("Slice", x, start, end, axis) if rest else block.update
    behind = c.op("Slice", x, end, c.ints(np.iinfo(np.int64).max), axis)
    return c.op("Concat", before, _replaced(c, within, block, rest), behind, axis=axes[0])
