"""`OneHot`: ONNX counts negative indices from the end, TensorFlow leaves their rows off."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = "OneHot"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a comparison of each index with 0 to depth - 1."""
    c = Composition(ctx, node)
    indices, depth, on, off = c.inputs
    dtype, axis = ctx.get_dtype(node.output[0]), node.get_attr_value("axis", -1)
    classes = c.arange(c.cast(depth, INT64))
    if axis >= 0 and axis < c.rank(indices):
        classes = c.unsqueeze(classes, *range(1, c.rank(indices) - axis + 1))
    is_on = c.op("Equal", c.unsqueeze(c.cast(indices, INT64), axis), classes)
    if _is_plain(c.value(on), c.value(off)):
        c.finish(c.cast(is_on, dtype))
    else:
        c.finish(c.op("Where", is_on, on, off))


def _is_plain(on: np.ndarray | None, off: np.ndarray | None) -> bool:
    return on is not None and off is not None and bool(on == 1) and bool(off == 0)
