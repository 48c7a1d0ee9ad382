"""`FloorDiv`: tf2onnx divides integers towards zero (-7 // 2 is -4, not -3)."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT32, INT64, Composition

OPERATION = "FloorDiv"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by (x - mod(x, y)) / y for integers, and floor(x / y) for floats."""
    c = Composition(ctx, node)
    x, y = c.inputs
    if c.is_float(x):
        c.finish(c.op("Floor", c.op("Div", x, y)))
        return
    dtype = c.dtype(x)
    through = dtype if dtype in (INT32, INT64) else INT64
    x, y = c.cast(x, through), c.cast(y, through)
    whole = c.op("Sub", x, c.op("Mod", x, y))
    c.finish(c.cast(c.op("Div", whole, y), dtype))
