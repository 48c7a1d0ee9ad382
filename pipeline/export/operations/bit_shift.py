"""`LeftShift` and `RightShift` of signed integers: ONNX shifts unsigned ones, and a minus sign moves in from the left.

A negative number is shifted right as its complement -1 - x.
"""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pipeline.export.composition import INT64, Composition

OPERATION = ("LeftShift", "RightShift")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `BitShift` through uint64."""
    c = Composition(ctx, node)
    x, bits = c.inputs
    dtype = c.dtype(x)
    wide, count = c.cast(x, INT64), c.cast(bits, TensorProto.UINT64)
    if node.type == "LeftShift":
        shifted = c.op("BitShift", c.cast(wide, TensorProto.UINT64), count, direction="LEFT")
        c.finish(c.cast(c.cast(shifted, INT64), dtype))
        return
    is_negative = c.op("Less", wide, c.constant(0, like=wide))
    complement = c.op("Sub", c.constant(-1, like=wide), wide)
    positive = c.cast(c.op("Where", is_negative, complement, wide), TensorProto.UINT64)
    shifted = c.cast(c.op("BitShift", positive, count, direction="RIGHT"), INT64)
    back = c.op("Sub", c.constant(-1, like=wide), shifted)
    c.finish(c.cast(c.op("Where", is_negative, back, shifted), dtype))
