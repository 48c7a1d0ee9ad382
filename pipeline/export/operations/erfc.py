"""`Erfc`, to which TensorFlow lowers GELU (tensorflow-onnx #2347, #2463): 1 - Erf(x)."""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx import utils

OPERATION = "Erfc"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Sub(1, Erf(x))`."""
    dtype = ctx.get_dtype(node.input[0])
    shape = ctx.get_shape(node.input[0])
    one = ctx.make_const(utils.make_name(name), np.array(1, utils.map_onnx_to_numpy_type(dtype)))
    erf = ctx.make_node("Erf", [node.input[0]], shapes=[shape], dtypes=[dtype])
    ctx.remove_node(node.name)
    ctx.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, name=name, shapes=[shape], dtypes=[dtype])
