"""`Log1p`: log(1 + x) loses the digits of a small x; there it is x log(u) / (u - 1) with u = 1 + x rounded.

The rounding of `u` cancels (W. Kahan; Goldberg 1991, theorem 4).
"""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Log1p"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by Kahan's formula, and by `x` itself or log(u) where that divides zero or infinities."""
    c = Composition(ctx, node)
    (x,) = c.inputs
    one = c.constant(1, like=x)
    shifted = c.op("Add", x, one)
    log = c.op("Log", shifted)
    rounded = c.op("Sub", shifted, one)
    kahan = c.op("Mul", log, c.op("Div", x, rounded))
    exact = c.op("Where", c.op("Equal", rounded, x), log, kahan)
    c.finish(c.op("Where", c.op("Equal", shifted, one), x, exact))
