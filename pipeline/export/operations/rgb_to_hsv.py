"""`RGBToHSV`: value is the largest colour, saturation the range over it, hue the place of the largest on the circle."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "RGBToHSV"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by its definition."""
    c = Composition(ctx, node)
    rgb = c.inputs[0]
    red, green, blue = (c.op("Gather", rgb, c.ints(place), axis=-1) for place in range(3))
    zero = c.constant(0, like=rgb)
    value = c.reduce("ReduceMax", rgb, -1, keepdims=1)
    spread = c.op("Sub", value, c.reduce("ReduceMin", rgb, -1, keepdims=1))
    saturation = c.op("Where", c.op("Greater", value, zero), c.op("Div", spread, value), zero)
    from_blue = _sector(c, c.op("Sub", red, green), spread, 4)
    from_green = _sector(c, c.op("Sub", blue, red), spread, 2)
    from_red = _sector(c, c.op("Sub", green, blue), spread, 0)
    hue = c.op("Where", c.op("Equal", green, value), from_green, from_blue)
    hue = c.op("Where", c.op("Equal", red, value), from_red, hue)
    hue = c.op("Where", c.op("Greater", spread, zero), hue, zero)
    turned = c.op("Add", hue, c.constant(1, like=rgb))
    hue = c.op("Where", c.op("Less", hue, zero), turned, hue)
    c.finish(c.op("Concat", hue, saturation, value, axis=-1))


def _sector(c: Composition, difference: str, spread: str, sixths: int) -> str:
    """The hue where one colour is the largest: so many sixths of the circle, plus its share of a sixth."""
    share = c.op("Div", difference, c.op("Mul", spread, c.constant(6, like=spread)))
    return c.op("Add", share, c.constant(sixths / 6, like=spread))
