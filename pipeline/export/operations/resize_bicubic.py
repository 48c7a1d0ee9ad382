"""`ResizeBicubic`: TensorFlow takes the weights of a pixel from a table of 1,024 places.

ONNX's `Resize` computes them (differences up to 7e-4), and onnxruntime's does not shrink an image by cubics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import FLOAT, Composition
from pipeline.export.resampling import Axis, keys_cubic, known_sizes, pixels, resampled, resized, size_pair, weights

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
    known = known_sizes(c, images, sizes)
    if known is not None and all(_meets_table(given, wanted) for given, wanted in known):
        c.finish(resized(c, c.cast(images, FLOAT), sizes, **_AS_KEYS))
        return
    matrices = []
    for place, size in enumerate(size_pair(c, sizes)):
        given = c.size(images, place + 1)
        step = c.op("Div", c.cast(given, FLOAT), c.cast(size, FLOAT))
        places = c.constant(np.float32(1024))
        wanted = c.unsqueeze(pixels(c, size, 0.5), -1)
        exact = c.op("Sub", c.op("Mul", wanted, step), c.constant(np.float32(0.5)))
        whole = c.op("Floor", exact)
        rounded = c.op("Div", c.op("Round", c.op("Mul", c.op("Sub", exact, whole), places)), places)
        axis = Axis(pixels(c, given), c.op("Add", whole, rounded))
        matrices.append(weights(c, axis, keys_cubic))
    c.finish(resampled(c, images, *matrices))


def _meets_table(given: int, wanted: int) -> bool:
    """Whether every pixel of an enlarged axis lies on a place of the table: then `Resize` has the same weights."""
    return wanted % given == 0 and 1024 % (2 * wanted // given) == 0
