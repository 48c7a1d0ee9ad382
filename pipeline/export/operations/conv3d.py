"""`Conv3D` in groups: tf2onnx counts the groups of two-dimensional convolutions only."""

from __future__ import annotations

from typing import Any

from tf2onnx.onnx_opset.nn import ConvOp

OPERATION = "Conv3D"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Convert as tf2onnx does, and say how many groups there are.

    Raises:
        ValueError: if the number of channels is not known.
    """
    is_channels_last = node.get_attr_str("data_format") == "NDHWC"
    channels = ctx.get_shape(node.input[0])[-1 if is_channels_last else 1]
    channels_of_group = ctx.get_shape(node.input[1])[-2]
    if channels < 1 or channels_of_group < 1:
        raise ValueError("Conv3D of an unknown number of channels")
    ConvOp.version_13(ctx, node)
    node.set_attr("group", channels // channels_of_group)
