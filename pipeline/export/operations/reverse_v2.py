"""`ReverseV2`, which tf2onnx makes five nodes of: one `Slice` with steps of -1."""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2onnx import utils

OPERATION = "ReverseV2"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a `Slice` from the last element to before the first.

    Raises:
        ValueError: if the axes are not constants.
    """
    if not node.inputs[1].is_const():
        raise ValueError(f"{name} reverses axes that only running the model would tell")
    rank = len(ctx.get_shape(node.input[0]))
    axes = np.asarray(node.inputs[1].get_tensor_value(as_list=False), np.int64).ravel() % max(rank, 1)
    shape, dtype = ctx.get_shape(node.output[0]), ctx.get_dtype(node.output[0])
    source, outputs = node.input[0], node.output
    ctx.remove_node(node.name)
    if not axes.size:
        ctx.make_node("Identity", [source], outputs=outputs, name=name, shapes=[shape], dtypes=[dtype])
        return
    ones = np.ones(len(axes), np.int64)
    bounds = [
        ctx.make_const(utils.make_name(name), value).output[0]
        for value in (-ones, np.iinfo(np.int64).min * ones, axes, -ones)
    ]
    ctx.make_node("Slice", [source, *bounds], outputs=outputs, name=name, shapes=[shape], dtypes=[dtype])
