"""`UnsortedSegmentSum`, `-Prod`, `-Max` and `-Min`: tf2onnx counts negative ids from the end, TensorFlow drops them.

Each row is scattered into its segment; dropped rows go into one more that is cut off again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = ("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin")

_REDUCTION = {"Sum": "add", "Prod": "mul", "Max": "max", "Min": "min"}


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `ScatterND` with a reduction."""
    c = Composition(ctx, node)
    data, ids, count = c.inputs
    kind = node.type.removeprefix("UnsortedSegment")
    extreme = kind in ("Max", "Min")
    c.require_opset(18 if extreme else 16, "ScatterND has no reduction before")
    dtype = c.dtype(data)
    segments = c.op("Reshape", c.cast(count, INT64), c.ints(1))
    rest = c.op("Shape", data, start=c.rank(ids))
    shape = c.op("Concat", c.op("Add", segments, c.ints(1)), rest, axis=0)
    empty = c.op("Expand", c.constant(_identity(kind, c.numpy_dtype(data)), like=data), shape)
    places = c.cast(ids, INT64)
    is_dropped = c.op("Less", places, c.constant(np.int64(0)))
    places = c.unsqueeze(c.op("Where", is_dropped, segments, places), -1)
    scattered = c.op("ScatterND", empty, places, data, reduction=_REDUCTION[kind])
    c.finish(c.cast(c.op("Slice", scattered, c.ints(0), segments, c.ints(0)), dtype))


def _identity(kind: str, dtype: np.dtype[Any]) -> Any:
    """What an empty segment holds."""
    if kind in ("Sum", "Prod"):
        return int(kind == "Prod")
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return limits.min if kind == "Max" else limits.max
