"""`DenseBincount` and `Bincount`: how often each number occurs, or the weights of its occurrences."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT32, INT64, Composition

OPERATION = ("DenseBincount", "Bincount")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a comparison of each entry with 0 to size - 1, summed over the entries."""
    c = Composition(ctx, node)
    entries, size, weights = c.inputs
    dtype = ctx.get_dtype(node.output[0])
    is_number = c.op("Equal", c.unsqueeze(c.cast(entries, INT64), -1), c.arange(c.cast(size, INT64)))
    if node.get_attr_value("binary_output"):
        occurs = c.reduce("ReduceMax", c.cast(is_number, INT32), -2)
        c.finish(c.cast(occurs, dtype))
        return
    counted = c.cast(is_number, dtype)
    shape = ctx.get_shape(weights)
    if shape is None or 0 not in shape:
        counted = c.op("Mul", counted, c.unsqueeze(weights, -1))
    c.finish(c.reduce("ReduceSum", counted, -2))
