"""`ResizeBilinear` and `ResizeNearestNeighbor`: tf2onnx rounds scales down, and then 7 rows are 6.

ONNX divides where TensorFlow multiplies by a rounded quotient: at sizes such as 2 of 41 another pixel is the nearest.
There, and for dtypes that onnxruntime's `Resize` has no kernel for, pixels are picked by their numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, INT64, Composition
from pipeline.export.resampling import known_sizes, pixels, resized, scale, size_pair

OPERATION = ("ResizeBilinear", "ResizeNearestNeighbor")

_RESIZABLE = frozenset({"float32", "int32", "int8", "uint8"})  # by onnxruntime 1.32


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Resize`, or by a `Gather` for each axis."""
    c = Composition(ctx, node)
    images, sizes = c.inputs
    is_centred, is_aligned = (node.get_attr_value(each) for each in ("half_pixel_centers", "align_corners"))
    coordinates = "align_corners" if is_aligned else "half_pixel" if is_centred else "asymmetric"
    if node.type == "ResizeBilinear":
        result = resized(c, c.cast(images, FLOAT), sizes, mode="linear", coordinate_transformation_mode=coordinates)
    elif is_aligned or _is_resizable(c, images, sizes, bool(is_centred)):
        rounding = "floor" if coordinates == "asymmetric" else "round_prefer_ceil"
        attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        result = resized(c, images, sizes, mode="nearest", **attributes)
    else:
        result = images
        for axis, wanted in enumerate(size_pair(c, sizes), start=1):
            place = _nearest(c, c.size(images, axis), wanted, 0.5 * bool(is_centred))
            result = c.op("Gather", result, place, axis=axis)
    c.finish(result)


def _is_resizable(c: Composition, images: str, sizes: str, is_centred: bool) -> bool:
    """Whether `Resize` takes the pixels that TensorFlow takes.

    Sizes that the model computes are taken for whole multiples (`UpSampling2D`), whose pixels lie off all edges.
    """
    if str(c.numpy_dtype(images)) not in _RESIZABLE:
        return False
    known = known_sizes(c, images, sizes)
    if known is None:
        return c.value(sizes) is None
    return all(_agrees(given, wanted, is_centred) for given, wanted in known)


def _agrees(given: int, wanted: int, is_centred: bool) -> bool:
    centres = np.arange(wanted, dtype=np.float32) + np.float32(0.5 * is_centred)
    here = np.floor(centres / scale(given, wanted))
    return bool(np.array_equal(here, np.floor(centres * (np.float32(given) / np.float32(wanted)))))


def _nearest(c: Composition, given: str, wanted: str, centre: float) -> str:
    """The number of the pixel (wanted,) that is nearest to each."""
    step = c.op("Div", c.cast(given, FLOAT), c.cast(wanted, FLOAT))
    centres = c.op("Add", pixels(c, wanted), c.constant(np.float32(centre)))
    return c.op("Min", c.cast(c.op("Mul", centres, step), INT64), c.op("Sub", given, c.ints(1)))
