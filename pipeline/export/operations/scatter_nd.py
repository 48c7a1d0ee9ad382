"""`ScatterNd`: tf2onnx lets the last of several updates of one place win, TensorFlow adds them."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT64, Composition

OPERATION = "ScatterNd"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `ScatterND` into zeros, adding."""
    c = Composition(ctx, node)
    indices, updates, shape = c.inputs
    c.require_opset(16, "ScatterND does not add before")
    zeros = c.op("Expand", c.constant(0, like=updates), c.cast(shape, INT64))
    c.finish(c.op("ScatterND", zeros, c.cast(indices, INT64), updates, reduction="add"))
