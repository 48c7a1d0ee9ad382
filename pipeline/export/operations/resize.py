"""`ResizeBilinear` and `ResizeNearestNeighbor`: tf2onnx rounds scales down, and then 7 rows are 6.

ONNX divides where TensorFlow multiplies by a rounded quotient: at sizes such as 2 of 41 another pixel is the nearest,
as at 3,499 of the 90,000 pairs up to 300, whatever `Resize` is told. There, where sizes are free, and for dtypes that
onnxruntime's `Resize` has no kernel for, pixels are picked by their numbers.

Pixels of integers are rounded afterwards, and at some scales one in fifty lies half way between two of them. There
it takes TensorFlow's own arithmetic, in its order, to come to the same side.
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
    centre = 0.5 if is_centred else 0
    coordinates = "align_corners" if is_aligned else "half_pixel" if is_centred else "asymmetric"
    known = known_sizes(c, images, sizes)
    if node.type == "ResizeBilinear" and known is not None and _is_rounded(c) and not is_aligned:
        result = c.cast(images, FLOAT)
        for axis, (given, wanted) in ((2, known[1]), (1, known[0])):
            result = _between(c, result, axis, *_neighbours(given, wanted, centre))
    elif node.type == "ResizeBilinear":
        result = resized(c, c.cast(images, FLOAT), sizes, mode="linear", coordinate_transformation_mode=coordinates)
    elif is_aligned or _is_resizable(c, images, sizes, centre):
        rounding = "floor" if coordinates == "asymmetric" else "round_prefer_ceil"
        attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        result = resized(c, images, sizes, mode="nearest", **attributes)
    else:
        result = images
        for axis, place in enumerate(_places(c, images, sizes, centre), start=1):
            result = c.op("Gather", result, place, axis=axis)
    c.finish(result)


def _is_rounded(c: Composition) -> bool:
    """Whether the numbers become integers."""
    return any(reader.type == "Round" for reader in c.ctx.find_output_consumers(c.node.output[0]))


def _neighbours(given: int, wanted: int, centre: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the places (wanted,) the pixel before it, the one after it, and how far it lies between them.

    As `compute_interpolation_weights` of tensorflow/core/kernels/image/resize_bilinear_op.cc, in float32.
    """
    step = np.float32(given) / np.float32(wanted)
    place = (np.arange(wanted, dtype=np.float32) + np.float32(centre)) * step - np.float32(centre)
    before = np.floor(place)
    last = given - 1
    return np.maximum(before, 0).astype(np.int64), np.minimum(np.ceil(place), last).astype(np.int64), place - before


def _between(c: Composition, images: str, axis: int, before: np.ndarray, after: np.ndarray, part: np.ndarray) -> str:
    """The numbers between neighbours along one axis of `(batch, height, width, channels)`."""
    first, second = (c.op("Gather", images, c.constant(each), axis=axis) for each in (before, after))
    weight = c.constant(part.reshape(-1, *[1] * (3 - axis)))
    return c.op("Add", first, c.op("Mul", c.op("Sub", second, first), weight))


def _is_resizable(c: Composition, images: str, sizes: str, centre: float) -> bool:
    """Whether the sizes are known and `Resize` takes the pixels that TensorFlow takes."""
    known = known_sizes(c, images, sizes)
    if known is None or str(c.numpy_dtype(images)) not in _RESIZABLE:
        return False
    return all(np.array_equal(_by_scale(*axis, centre), _by_step(*axis, centre)) for axis in known)


def _by_scale(given: int, wanted: int, centre: float) -> np.ndarray:
    """The pixel (wanted,) that ONNX takes for each."""
    places: np.ndarray = (np.arange(wanted, dtype=np.float32) + np.float32(centre)) / scale(given, wanted)
    return places.astype(np.int64)


def _by_step(given: int, wanted: int, centre: float) -> np.ndarray:
    """The pixel (wanted,) that TensorFlow takes for each.

    None lies behind the last one: up to 2^22 pixels rounding is less than what is left to there.
    """
    step = np.float32(given) / np.float32(wanted)
    places: np.ndarray = (np.arange(wanted, dtype=np.float32) + np.float32(centre)) * step
    return places.astype(np.int64)


def _places(c: Composition, images: str, sizes: str, centre: float) -> list[str]:
    """The pixels that TensorFlow takes for each row and column, computed by the model where a size is free."""
    known = known_sizes(c, images, sizes)
    if known is not None:
        return [c.constant(_by_step(*axis, centre)) for axis in known]
    wanted = c.value(sizes)
    divisor = c.cast(sizes, FLOAT) if wanted is None else c.constant(wanted.astype(np.float32))
    steps = c.op("Div", c.cast(c.sizes(images, 1, 3), FLOAT), divisor)
    pair = c.outputs("Split", steps, c.ints(1, 1), count=2, axis=0)
    centres = [pixels(c, size, centre) for size in size_pair(c, sizes)]
    return [c.cast(c.op("Mul", each, step), INT64) for each, step in zip(centres, pair, strict=True)]
