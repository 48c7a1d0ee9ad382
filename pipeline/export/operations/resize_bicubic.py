"""`ResizeBicubic`: TensorFlow takes the weights of a pixel from a table of 1,024 places.

ONNX's `Resize` computes them (differences up to 7e-4), and onnxruntime's does not shrink an image by cubics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, INT64, Composition
from pipeline.export.resampling import Axis, keys_cubic, pixels, resampled, size_pair, weights

OPERATION = "ResizeBicubic"

_AS_KEYS: dict[str, Any] = {
    "mode": "cubic",
    "cubic_coeff_a": -0.5,
    "exclude_outside": 1,
    "coordinate_transformation_mode": "half_pixel",
}


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by two matrix products with the weights of the nearest place in the table."""
    c = Composition(ctx, node)
    images, sizes = c.inputs
    if node.get_attr_value("align_corners") or not node.get_attr_value("half_pixel_centers"):
        raise ValueError("ResizeBicubic with other than half-pixel centres, which Keras does not ask for")
    ratios = _ratios(c, images, sizes)
    if ratios is not None and all(_meets_table(given, wanted) for given, wanted in ratios):
        c.finish(_resized(c, images, sizes))
        return
    matrices = []
    for place, size in enumerate(size_pair(c, sizes)):
        given = c.size(images, place + 1)
        step = c.op("Div", c.cast(given, FLOAT), c.cast(size, FLOAT))
        half, places = c.constant(np.float32(0.5)), c.constant(np.float32(1024))
        wanted = c.unsqueeze(c.op("Add", pixels(c, size), half), -1)
        exact = c.op("Sub", c.op("Mul", wanted, step), half)
        whole = c.op("Floor", exact)
        rounded = c.op("Div", c.op("Round", c.op("Mul", c.op("Sub", exact, whole), places)), places)
        axis = Axis(pixels(c, given), c.op("Add", whole, rounded))
        matrices.append(weights(c, axis, keys_cubic))
    c.finish(resampled(c, images, *matrices))


def _ratios(c: Composition, images: str, sizes: str) -> list[tuple[int, int]] | None:
    """(size given, size wanted) of both axes, None where one is free."""
    wanted, shape = c.value(sizes), c.ctx.get_shape(images)
    if wanted is None or shape is None or min(shape[1:3]) < 1:
        return None
    return [(shape[1], int(wanted[0])), (shape[2], int(wanted[1]))]


def _meets_table(given: int, wanted: int) -> bool:
    """Whether every pixel of an enlarged axis lies on a place of the table: then `Resize` has the same weights."""
    return wanted % given == 0 and 1024 % (2 * wanted // given) == 0


def _resized(c: Composition, images: str, sizes: str) -> str:
    planes = c.op("Transpose", c.cast(images, FLOAT), perm=[0, 3, 1, 2])
    shape = c.op("Concat", c.op("Slice", c.op("Shape", planes), c.ints(0), c.ints(2)), c.cast(sizes, INT64), axis=0)
    resized = c.op("Resize", planes, "", "", shape, **_AS_KEYS)
    return c.op("Transpose", resized, perm=[0, 2, 3, 1])
