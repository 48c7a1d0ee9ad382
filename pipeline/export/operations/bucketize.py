"""`Bucketize`, to which `Discretization` lowers (tensorflow-onnx #2222): how many boundaries a value has reached."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import utils

OPERATION = "Bucketize"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a comparison with every boundary, counted over a last axis of its own."""
    dtype = utils.map_onnx_to_numpy_type(ctx.get_dtype(node.input[0]))
    boundaries = np.array(node.get_attr_value("boundaries"), np.float32).astype(dtype)
    edges = ctx.make_const(utils.make_name(name), boundaries)
    axis = ctx.make_const(utils.make_name(name), np.array([-1], np.int64))
    shape = ctx.get_shape(node.output[0])
    value = ctx.make_node("Unsqueeze", [node.input[0], axis.output[0]])
    reached = ctx.make_node("GreaterOrEqual", [value.output[0], edges.output[0]])
    counted = ctx.make_node("Cast", [reached.output[0]], attr={"to": TensorProto.INT32})
    ctx.remove_node(node.name)
    ctx.make_node(
        "ReduceSum",
        [counted.output[0], axis.output[0]],
        attr={"keepdims": 0},
        outputs=node.output,
        name=name,
        shapes=[shape],
        dtypes=[TensorProto.INT32],
    )
