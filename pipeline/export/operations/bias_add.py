"""`BiasAdd` behind a channel axis that is not the last, of a bias that tf2onnx does not see as a constant."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = ("BiasAdd", "BiasAddV1")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Add`, with axes behind the bias where the channels come first."""
    c = Composition(ctx, node)
    x, bias = c.inputs
    if node.get_attr_value("data_format") == b"NCHW" and c.rank(x) > 2:
        bias = c.unsqueeze(bias, *range(1, c.rank(x) - 1))
    c.finish(c.op("Add", x, bias))
