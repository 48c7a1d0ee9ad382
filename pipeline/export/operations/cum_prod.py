"""`Cumprod`: tf2onnx makes a loop of it that fails on the last axis."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Cumprod"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a product over a triangle of copies."""
    c = Composition(ctx, node)
    x, axis = c.inputs
    value = c.value(axis)
    if value is None:
        raise ValueError("Cumprod over an axis that is computed when the model runs")
    rank = c.rank(x)
    place = int(value) % rank
    step = c.arange(c.size(x, place))
    comparison = "Greater" if node.get_attr_value("exclusive") else "GreaterOrEqual"
    is_factor = c.op(comparison, c.unsqueeze(step, -1), step)
    if node.get_attr_value("reverse"):
        is_factor = c.op("Transpose", is_factor, perm=[1, 0])
    behind = rank - 1 - place
    mask = c.unsqueeze(is_factor, *range(2, 2 + behind)) if behind else is_factor
    copies = c.op("Where", mask, c.unsqueeze(x, place), c.constant(1, like=x))
    c.finish(c.reduce("ReduceProd", copies, place + 1))
