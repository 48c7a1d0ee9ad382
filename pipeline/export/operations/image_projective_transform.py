"""`ImageProjectiveTransformV3` (`ops.image.affine_transform`): pixels read at places that a matrix says.

Every step is TensorFlow's own, in float32 and in its order, so that the nearest pixel is the same at ties too.
Formulas: `image_ops.h` in tensorflow/core/kernels/image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.export.composition import DOUBLE, FLOAT, INT64, Composition
from pipeline.export.resampling import pixels, size_pair

OPERATION = "ImageProjectiveTransformV3"

# Where a place outside the image is mapped to, from places (batch, 2, height, width) and sizes (2, 1, 1).
_Mapping = Callable[[Composition, str, str], str]

_ROWS_FIRST = np.array([[3, 4, 5], [0, 1, 2], [6, 7, 8]])  # of a matrix that says columns first
# Of the row and column before a place, and those behind it: the four pixels around it.
_CORNERS = np.array([[[0, 1], [0, 3]], [[2, 1], [2, 3]]])
_KEPT = frozenset({"float32", "int32", "int64", "uint8"})  # dtypes that onnxruntime 1.32 pads
_HAIR = np.float64(2.0**-40)  # that much farther from zero no number of float32 passes a tie, and a tie is none


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the places of its pixels, and one `GatherND` for all that are read there.

    A border of one pixel holds the value that fills what lies outside.
    """
    c = Composition(ctx, node)
    images, matrices, sizes, fill = c.inputs
    dtype, is_bilinear = c.dtype(images), node.get_attr_str("interpolation") == "BILINEAR"
    fill = c.cast(fill, dtype)
    if is_bilinear or str(c.numpy_dtype(images)) not in _KEPT:
        images, fill = c.cast(images, FLOAT), c.cast(fill, FLOAT)
    places, is_nowhere = _places(c, matrices, sizes)
    count = c.unsqueeze(_size(c, images), 1, 2)
    mapping = _MAPPINGS[node.get_attr_str("fill_mode")]
    if mapping is not None:
        last = c.op("Sub", count, c.constant(np.float32(1)))
        places = _between(c, mapping(c, places, count), 0, last)
    images = c.op("Pad", images, c.ints(0, 1, 1, 0, 0, 1, 1, 0), fill)
    result = _bilinear(c, images, places, count) if is_bilinear else _nearest(c, images, places, count)
    if is_nowhere is not None:
        result = c.op("Where", c.op("Transpose", is_nowhere, perm=[0, 2, 3, 1]), fill, result)
    c.finish(c.cast(result, dtype))


def _size(c: Composition, images: str) -> str:
    """Height and width (2,) in float32."""
    shape = c.ctx.get_shape(images)
    if shape is not None and min(shape[1:3]) > 0:
        return c.constant(np.array(shape[1:3], np.float32))
    return c.cast(c.sizes(images, 1, 3), FLOAT)


def _places(c: Composition, matrices: str, sizes: str) -> tuple[str, str | None]:
    """Where (batch, 2, height, width) each pixel lies, and where that is nowhere: (batch, 1, height, width) or None."""
    height, width = size_pair(c, sizes)
    rows, columns = c.unsqueeze(pixels(c, height), 1), pixels(c, width)
    whole = c.op("Pad", matrices, c.ints(0, 0, 0, 1), c.constant(np.float32(1)))
    by_row = c.unsqueeze(c.op("Gather", whole, c.constant(_ROWS_FIRST), axis=1), 3)
    along_columns, along_rows, start = c.outputs("Split", by_row, c.ints(1, 1, 1), count=3, axis=2)
    slope = c.op("Add", c.op("Mul", along_columns, columns), c.op("Mul", along_rows, rows))
    places = c.op("Add", slope, start)
    places, divisor = c.outputs("Split", places, c.ints(2, 1), count=2, axis=1)
    known = c.number(matrices)
    if known is not None and not known[:, 6:].any():
        return places, None
    is_nowhere = c.op("Equal", divisor, c.constant(np.float32(0)))
    return c.op("Div", places, c.op("Where", is_nowhere, c.constant(np.float32(1)), divisor)), is_nowhere


def _nearest(c: Composition, images: str, places: str, count: str) -> str:
    """The pixels nearest to the places, of two the farther from zero."""
    wide = c.cast(_between(c, places, -1, count), DOUBLE)
    farther = c.op("Add", wide, c.op("Mul", wide, c.constant(_HAIR)))
    return _read(c, images, c.op("Round", farther), [0, 2, 3, 1])


def _bilinear(c: Composition, images: str, places: str, count: str) -> str:
    """The sums of the four pixels around each place by its distance to those opposite."""
    one = c.constant(np.float32(1))
    before = c.op("Floor", places)
    behind = c.op("Add", before, one)
    pixel = c.op("Concat", _between(c, before, -1, count), _between(c, behind, -1, count), axis=1)
    read = _read(c, images, c.op("Gather", pixel, c.constant(_CORNERS), axis=1), [0, 1, 2, 4, 5, 3])
    weights = c.op("Concat", c.op("Sub", behind, places), c.op("Sub", places, before), axis=1)
    rows, columns = (c.op("Gather", weights, c.ints(first, first + 2), axis=1) for first in (0, 1))
    wide = c.reduce("ReduceSum", c.op("Mul", c.unsqueeze(columns, 1, -1), read), 2)
    return c.reduce("ReduceSum", c.op("Mul", c.unsqueeze(rows, -1), wide), 1)


def _read(c: Composition, images: str, places: str, rows_last: list[int]) -> str:
    """The pixels of bordered images at whole places, whose row and column a permutation puts last."""
    whole = c.op("Add", c.cast(places, INT64), c.constant(np.int64(1)))
    indices = c.op("Transpose", whole, perm=rows_last)
    ones = [1] * (len(rows_last) - 1)
    shape = c.op("Concat", c.sizes(images, 0, 1), c.ints(*ones), axis=0)
    return c.op("GatherND", images, c.op("Expand", indices, shape), batch_dims=1)


def _between(c: Composition, x: str, least: float, most: str) -> str:
    return c.op("Min", c.op("Max", x, c.constant(np.float32(least))), most)


def _as_it_is(c: Composition, x: str, count: str) -> str:
    return x


def _reflected(c: Composition, x: str, count: str) -> str:
    """In dcba|abcd|dcba."""
    zero, one, two = (c.constant(np.float32(number)) for number in (0, 1, 2))
    period = c.op("Mul", count, two)
    distance = c.op("Abs", x)
    within = c.op("Sub", distance, c.op("Mul", period, c.op("Floor", c.op("Div", distance, period))))
    is_left, is_far = c.op("Less", x, zero), c.op("Greater", within, count)
    turned = c.op("Min", within, c.op("Sub", period, within))
    return c.op("Where", c.op("Xor", is_left, is_far), c.op("Sub", turned, one), turned)


def _wrapped(c: Composition, x: str, count: str) -> str:
    """In abcd|abcd|abcd, whose turns TensorFlow counts by one pixel less."""
    zero, one = (c.constant(np.float32(number)) for number in (0, 1))
    last = c.op("Sub", count, one)
    turns = c.op("Floor", c.op("Div", c.op("Abs", x), c.op("Max", last, one)))
    from_left = c.op("Add", x, c.op("Mul", count, c.op("Add", turns, one)))
    from_right = c.op("Where", c.op("Greater", x, last), c.op("Sub", x, c.op("Mul", count, turns)), x)
    return c.op("Where", c.op("Less", x, zero), from_left, from_right)


_MAPPINGS: dict[str, _Mapping | None] = {
    "CONSTANT": None,
    "NEAREST": _as_it_is,
    "REFLECT": _reflected,
    "WRAP": _wrapped,
}
