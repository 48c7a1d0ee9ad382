"""`Pad`, `PadV2` and `MirrorPad` of what is no float: tf2onnx pads integers as float32, in which neighbours become one.

It also forgets to cast what a `PadV2` of them, or of float16, pads with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx.onnx_opset.nn import Pad

from pipeline.export.composition import INT64, Composition

OPERATION = ("Pad", "PadV2", "MirrorPad")

_AS_TF2ONNX_DOES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.COMPLEX64, TensorProto.COMPLEX128)


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Pad integers in their own dtype; floats and complex numbers as tf2onnx does.

    Raises:
        ValueError: if integers are mirrored by widths that are computed when the model runs.
    """
    c = Composition(ctx, node)
    x, widths = c.inputs[:2]
    if c.dtype(x) in _AS_TF2ONNX_DOES or (node.type != "PadV2" and c.dtype(x) == TensorProto.FLOAT16):
        node.type = "Pad"
        Pad.version_11(ctx, node)
    elif node.type == "MirrorPad":
        c.finish(_mirrored(c, x, widths, node.get_attr_value("mode").decode().upper() == "SYMMETRIC"))
    else:
        value = c.inputs[2] if len(c.inputs) > 2 else c.constant(0, like=x)
        c.finish(c.op("Pad", x, _by_end(c, widths), value, mode="constant"))


def _by_end(c: Composition, widths: str) -> str:
    """Widths (axes, 2) as ONNX has them: all that come before, then all that come after."""
    known = c.value(widths)
    if known is not None:
        return c.ints(*known.T.ravel())
    return c.op("Reshape", c.op("Transpose", c.cast(widths, INT64), perm=[1, 0]), c.ints(-1))


def _mirrored(c: Composition, x: str, widths: str, is_symmetric: bool) -> str:
    """The elements picked by their numbers, axis by axis; the outermost one is repeated if it is symmetric."""
    known = c.value(widths)
    if known is None:
        raise ValueError(f"{c.node.type} of integers by widths that are computed: give the widths as numbers")
    result = x
    for axis, (before, after) in enumerate(known.tolist()):
        if before or after:
            first = 0 if is_symmetric else 1
            inner = c.arange(c.size(x, axis))
            head = c.constant(np.arange(before - 1 + first, first - 1, -1, dtype=np.int64))
            tail = c.op("Sub", c.size(x, axis), c.constant(np.arange(1 + first, after + 1 + first, dtype=np.int64)))
            result = c.op("Gather", result, c.op("Concat", head, inner, tail, axis=0), axis=axis)
    return result
