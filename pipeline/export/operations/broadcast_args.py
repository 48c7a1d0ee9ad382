"""`BroadcastArgs` (also in `linspace` and `cross`): the shape that two shapes broadcast to."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = "BroadcastArgs"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a choice of every size that is not 1."""
    c = Composition(ctx, node)
    shapes = [c.cast(shape, INT64) for shape in c.inputs]
    sizes = [_known_rank(ctx, shape) for shape in c.inputs]
    longest = max(sizes)
    one = c.constant(np.int64(1))
    left, right = (
        c.op("Concat", c.ints(*[1] * (longest - size)), shape, axis=0) if size < longest else shape
        for shape, size in zip(shapes, sizes, strict=True)
    )
    chosen = c.op("Where", c.op("Equal", left, one), right, left)
    c.finish(c.cast(chosen, ctx.get_dtype(node.output[0])))


def _known_rank(ctx: Any, shape: str) -> int:
    """How many sizes a shape has."""
    (size,) = ctx.get_shape(shape) or (-1,)
    if size is None or size < 0:
        raise ValueError("BroadcastArgs of a shape of unknown rank")
    return int(size)
