"""`Expm1`: exp(x) - 1 loses the digits of a small x; there it is 2 tanh(x/2) / (1 - tanh(x/2))."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Expm1"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the one formula near zero and the other elsewhere."""
    c = Composition(ctx, node)
    (x,) = c.inputs
    one, two = c.constant(1, like=x), c.constant(2, like=x)
    tanh = c.op("Tanh", c.op("Div", x, two))
    near = c.op("Div", c.op("Mul", tanh, two), c.op("Sub", one, tanh))
    far = c.op("Sub", c.op("Exp", x), one)
    c.finish(c.op("Where", c.op("Less", c.op("Abs", x), one), near, far))
