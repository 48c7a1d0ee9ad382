"""`Reshape` to no elements: a size of 0 has ONNX copy one of the tensor that is reshaped."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper
from tf2onnx.onnx_opset.tensor import Reshape

from pipeline.export.composition import INT64, Composition

OPERATION = "Reshape"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Convert as tf2onnx does, but make what holds nothing anew."""
    c = Composition(ctx, node)
    sizes = c.value(c.inputs[1])
    known = sizes if sizes is not None else ctx.get_shape(node.output[0])
    if known is None or 0 not in known:
        Reshape.version_5(ctx, node)
        return
    shape = c.cast(c.inputs[1], INT64) if sizes is None else _shape(c, sizes)
    nothing = helper.make_tensor("nothing", c.dtype(node.output[0]), [1], [0])
    c.finish(c.op("ConstantOfShape", shape, value=nothing))


def _shape(c: Composition, sizes: np.ndarray) -> str:
    """Sizes with a 0 among them, of which one may be -1: TensorFlow tells that by the sizes that are not 0."""
    if (sizes >= 0).all():
        return c.ints(*sizes)
    given = c.op("Max", c.op("Shape", c.inputs[0]), c.constant(np.int64(1)))
    missing = c.op("Div", c.reduce("ReduceProd", given, 0, keepdims=1), c.ints(np.prod(sizes[sizes > 0])))
    return c.op("Where", c.constant(sizes < 0), missing, c.ints(*sizes))
