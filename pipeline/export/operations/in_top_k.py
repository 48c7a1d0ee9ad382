"""`InTopK` and `InTopKV2`: whether fewer than k classes score higher than the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = ("InTopK", "InTopKV2")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a count of the higher scores; a target without a finite score is not among them."""
    c = Composition(ctx, node)
    scores, targets = c.inputs[:2]
    k = c.inputs[2] if node.type == "InTopKV2" else c.constant(np.int64(node.get_attr_value("k")))
    classes = c.op("Gather", c.op("Shape", scores), c.constant(np.int64(1)))
    target = c.cast(targets, INT64)
    is_class = c.op("And", c.op("Less", target, classes), c.op("GreaterOrEqual", target, c.constant(np.int64(0))))
    place = c.unsqueeze(c.op("Where", is_class, target, c.constant(np.int64(0))), -1)
    score = c.op("GatherElements", scores, place, axis=1)
    higher = c.reduce("ReduceSum", c.cast(c.op("Greater", scores, score), INT64), -1)
    size = c.op("Abs", c.reduce("ReduceMax", c.op("Add", scores, c.op("Sub", score, score)), -1))
    is_finite = c.op("Less", size, c.constant(np.inf, like=scores))
    c.finish(c.op("And", c.op("And", c.op("Less", higher, c.cast(k, INT64)), is_finite), is_class))
