"""`BesselI0`: two polynomials (Abramowitz and Stegun 9.8.1 and 9.8.2, exact to 2e-7)."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "BesselI0"

_NEAR = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
_FAR = (
    0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319, 0.01328592, 0.39894228,
)  # fmt: skip


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by one polynomial below 3.75, and another times exp(x) / sqrt(x) above."""
    c = Composition(ctx, node)
    size = c.op("Abs", c.inputs[0])
    limit = c.constant(3.75, like=size)
    ratio = c.op("Div", size, limit)
    near = c.polynomial(c.op("Mul", ratio, ratio), _NEAR)
    far = c.polynomial(c.op("Div", limit, size), _FAR)
    far = c.op("Mul", far, c.op("Div", c.op("Exp", size), c.op("Sqrt", size)))
    c.finish(c.op("Where", c.op("Less", size, limit), near, far))
