"""`FloorMod`: the remainder with the divisor's sign; tf2onnx gives integers the dividend's, and NaN for infinities."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import Composition

OPERATION = "FloorMod"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Mod`; for floats by fmod, plus the divisor where the signs differ."""
    c = Composition(ctx, node)
    x, y = c.inputs
    if not c.is_float(x):
        c.finish(c.op("Mod", x, y))
        return
    remainder = c.op("Mod", x, y, fmod=1)
    c.finish(c.op("Where", _is_opposite(c, remainder, y), c.op("Add", remainder, y), remainder))


def _is_opposite(c: Composition, remainder: str, divisor: str) -> str:
    """Whether the signs differ, and neither is 0: by a product that can't vanish, of which one factor is -1, 0 or 1."""
    zero, number = c.constant(0, like=remainder), c.number(divisor)
    if number is not None and np.all(number > 0):
        return c.op("Less", remainder, zero)
    if number is not None and np.all(number < 0):
        return c.op("Greater", remainder, zero)
    return c.op("Less", c.op("Mul", c.op("Sign", remainder), divisor), zero)
