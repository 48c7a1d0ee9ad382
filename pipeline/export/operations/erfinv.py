"""`Erfinv`: two polynomials in the logarithm of 1 - x^2 (M. Giles, Approximating the erfinv function, 2010).

Exact to single precision, which float64 gets too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import Composition

OPERATION = "Erfinv"

_MIDDLE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the polynomial of the middle or of the tails."""
    c = Composition(ctx, node)
    (x,) = c.inputs
    one = c.constant(1, like=x)
    w = c.op("Neg", c.op("Log", c.op("Mul", c.op("Sub", one, x), c.op("Add", one, x))))
    middle = c.polynomial(c.op("Sub", w, c.constant(2.5, like=x)), _MIDDLE)
    tail = c.polynomial(c.op("Sub", c.op("Sqrt", w), c.constant(3, like=x)), _TAIL)
    factor = c.op("Where", c.op("Less", w, c.constant(5, like=x)), middle, tail)
    is_end = c.op("Equal", c.op("Abs", x), one)
    infinite = c.constant(np.inf, like=x)
    c.finish(c.op("Mul", x, c.op("Where", is_end, infinite, factor)))
