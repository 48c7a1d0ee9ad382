"""`Conv2DBackpropInput` and `Conv3DBackpropInputV2`: transposed convolutions, whose output may outreach their kernels.

The rows that no kernel reaches (`output_padding`, strides above the kernel's size) lie at the end and are zeros before
the bias is added. tf2onnx writes negative paddings there, or rows without a bias where the sizes are free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.export.composition import INT64, Composition

OPERATION = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")


@dataclass(frozen=True)
class _Spatial:
    """The spatial axes (numbers in TensorFlow's layout), and per axis the stride and the steps a kernel spans."""

    axes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    spans: tuple[int, ...]


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `ConvTranspose` between the layouts; a fourth input is a bias that tf2onnx fused.

    Where sizes are free the output is made as large as it can be, and cut to the size that TensorFlow computes.
    """
    c = Composition(ctx, node)
    _, kernel, x, *bias = c.inputs
    rank = c.rank(x)
    is_channels_last = not node.get_attr_str("data_format").startswith("NC")
    spatial = _spatial(c, kernel, tuple(range(1, rank - 1) if is_channels_last else range(2, rank)))
    images = c.op("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)]) if is_channels_last else x
    kernel = c.op("Transpose", kernel, perm=[rank - 1, rank - 2, *range(rank - 2)])
    padding = _padding(c, x, spatial)
    attributes = padding or {"output_padding": [stride - 1 for stride in spatial.strides]}
    attributes |= {"strides": spatial.strides, "dilations": spatial.dilations}
    y = c.op("ConvTranspose", images, kernel, *bias, **attributes)
    if is_channels_last:
        y = c.op("Transpose", y, perm=[0, *range(2, rank), 1])
    c.finish(y if padding else _cut(c, y, x, spatial))


def _spatial(c: Composition, kernel: str, axes: tuple[int, ...]) -> _Spatial:
    strides, dilations = (c.node.get_attr_value(key, [1] * 5) for key in ("strides", "dilations"))
    shape = c.ctx.get_shape(kernel)[: len(axes)]
    if min(shape) < 1:
        raise ValueError(f"{c.node.type} with a kernel of unknown size")
    return _Spatial(
        axes=axes,
        strides=tuple(strides[axis] for axis in axes),
        dilations=tuple(dilations[axis] for axis in axes),
        spans=tuple((size - 1) * dilations[axis] + 1 for size, axis in zip(shape, axes, strict=True)),
    )


def _padding(c: Composition, x: str, spatial: _Spatial) -> dict[str, Any] | None:
    """What is cut off at both ends and added at the last one, or None where a size is free."""
    cut, added = [], []
    given, wanted = c.ctx.get_shape(x), c.ctx.get_shape(c.node.output[0])
    for axis, stride, span in zip(spatial.axes, spatial.strides, spatial.spans, strict=True):
        if wanted is None or given[axis] < 1 or wanted[axis] < 1:
            return None
        surplus = stride * (given[axis] - 1) + span - wanted[axis]
        cut.append(max(surplus, 0))
        added.append(max(-surplus, 0))
    pads = [total // 2 for total in cut] + [total - total // 2 for total in cut]
    return {"pads": pads, "output_padding": added} if any(added) else {"pads": pads}


def _cut(c: Composition, y: str, x: str, spatial: _Spatial) -> str:
    """The rows of `y` from half the surplus on, as many as the sizes say that the node was given."""
    axes = c.ints(*spatial.axes)
    wanted = c.op("Gather", c.cast(c.inputs[0], INT64), axes)
    steps = c.op("Sub", c.op("Gather", c.op("Shape", x), axes), c.ints(1))
    reached = c.op("Add", c.op("Mul", steps, c.ints(*spatial.strides)), c.ints(*spatial.spans))
    start = c.op("Div", c.op("Max", c.op("Sub", reached, wanted), c.ints(0)), c.ints(2))
    return c.op("Slice", y, start, c.op("Add", start, wanted), axes)
