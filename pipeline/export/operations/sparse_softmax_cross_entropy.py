"""`SparseSoftmaxCrossEntropyWithLogits`: tf2onnx compares labels with a `Range` whose limit is no scalar.

ONNX's own `SoftmaxCrossEntropyLoss` is one node, which onnxruntime expands to more than these.
"""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT64, Composition

OPERATION = "SparseSoftmaxCrossEntropyWithLogits"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node's loss by the label's logarithm; its gradient is for training."""
    c = Composition(ctx, node)
    scores, labels = c.inputs
    place = c.unsqueeze(c.cast(labels, INT64), -1)
    picked = c.op("GatherElements", c.op("LogSoftmax", scores, axis=-1), place, axis=-1)
    c.finish(c.op("Neg", c.op("Squeeze", picked, c.ints(-1))))
