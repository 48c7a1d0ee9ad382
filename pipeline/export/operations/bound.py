"""`LowerBound` and `UpperBound` (`searchsorted`): how many sorted numbers lie before a value."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT32, Composition

OPERATION = ("LowerBound", "UpperBound")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a comparison with every sorted number, counted."""
    c = Composition(ctx, node)
    ordered, values = (c.unsqueeze(tensor, axis) for tensor, axis in zip(c.inputs, (-2, -1), strict=True))
    if node.type == "LowerBound":
        is_before = c.op("Less", ordered, values)
    else:
        is_before = c.op("Not", c.op("Less", values, ordered))
    counted = c.reduce("ReduceSum", c.cast(is_before, INT32), -1)
    c.finish(c.cast(counted, ctx.get_dtype(node.output[0])))
