"""`FloorMod`: the remainder with the divisor's sign; tf2onnx gives integers the dividend's, and NaN for infinities."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "FloorMod"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Mod`; for floats by fmod, plus the divisor where the signs differ."""
    c = Composition(ctx, node)
    x, y = c.inputs
    if not c.is_float(x):
        c.finish(c.op("Mod", x, y))
        return
    zero = c.constant(0, like=x)
    remainder = c.op("Mod", x, y, fmod=1)
    signs_differ = c.op("Xor", c.op("Less", remainder, zero), c.op("Less", y, zero))
    is_turned = c.op("And", signs_differ, c.op("Not", c.op("Equal", remainder, zero)))
    c.finish(c.op("Where", is_turned, c.op("Add", remainder, y), remainder))
