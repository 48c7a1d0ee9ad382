"""`Atan2`, of which tf2onnx forgets the signs of zeros and makes NaN of infinities, and `Angle` of a complex number."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.complex_pairs import pair_of
from pipeline.export.composition import Composition

OPERATION = ("Atan2", "Angle")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by atan(y / x), turned by half a circle where x bears a minus sign."""
    c = Composition(ctx, node)
    x, y = pair_of(c, c.inputs[0]) if node.type == "Angle" else reversed(c.inputs)
    zero, one = c.constant(0, like=x), c.constant(1, like=x)
    x_is_negative, y_is_negative = _bears_minus(c, x, zero, one), _bears_minus(c, y, zero, one)
    half = c.op("Where", y_is_negative, c.constant(-np.pi, like=x), c.constant(np.pi, like=x))
    turn = c.op("Where", x_is_negative, half, zero)
    signed_one = c.op("Where", y_is_negative, c.constant(-1, like=x), one)
    both_zero = c.op("And", c.op("Equal", x, zero), c.op("Equal", y, zero))
    both_infinite = c.op("And", c.op("IsInf", x), c.op("IsInf", y))
    sign = c.op("Where", x_is_negative, c.op("Neg", signed_one), signed_one)
    ratio = c.op("Where", both_infinite, sign, c.op("Div", y, x))
    ratio = c.op("Where", both_zero, c.op("Where", x_is_negative, c.op("Neg", y), y), ratio)
    c.finish(c.op("Add", c.op("Atan", ratio), turn))


def _bears_minus(c: Composition, tensor: str, zero: str, one: str) -> str:
    """True for negative numbers and for the negative zero, whose inverse is -infinity."""
    is_zero = c.op("Equal", tensor, zero)
    return c.op("Less", c.op("Where", is_zero, c.op("Div", one, tensor), tensor), zero)
