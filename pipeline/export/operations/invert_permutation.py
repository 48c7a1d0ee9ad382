"""`InvertPermutation`: tf2onnx gives it the dtype of indices, whatever the model's is."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT64, Composition

OPERATION = "InvertPermutation"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by its places, scattered to where the permutation says."""
    c = Composition(ctx, node)
    order = c.cast(c.inputs[0], INT64)
    c.finish(c.cast(c.op("ScatterElements", order, order, c.arange(c.size(order, 0)), axis=0), c.dtype(c.inputs[0])))
