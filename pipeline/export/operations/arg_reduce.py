"""`ArgMax` and `ArgMin`: as tf2onnx has them, and of booleans."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pipeline.export.composition import BOOL, INT32, Composition

OPERATION = ("ArgMax", "ArgMin")

# onnxruntime 1.32 has none for these; int64 is compared exactly by it, wider unsigned ones do not occur in Keras.
_WITHOUT_KERNEL = (BOOL, TensorProto.INT16, TensorProto.UINT16)


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by its namesake, which tells the first of equal values."""
    c = Composition(ctx, node)
    x, axis = c.inputs
    place = c.value(axis)
    if place is None:
        raise ValueError(f"{node.type} over an axis that is computed when the model runs")
    if c.dtype(x) in _WITHOUT_KERNEL:
        x = c.cast(x, INT32)
    index = c.op(node.type, x, axis=int(place), keepdims=0)
    c.finish(c.cast(index, ctx.get_dtype(node.output[0])))
