"""`HSVToRGB`: each colour is a ramp of the hue, cut at 0 and 1."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "HSVToRGB"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the three ramps, computed as one vector."""
    c = Composition(ctx, node)
    hue, saturation, value = (c.op("Gather", c.inputs[0], c.ints(place), axis=-1) for place in range(3))
    one, zero = c.constant(1, like=hue), c.constant(0, like=hue)
    distance = c.op("Abs", c.op("Sub", c.op("Mul", hue, c.constant(6, like=hue)), c.constant([3, 2, 4], like=hue)))
    ramp = c.op("Add", c.op("Mul", distance, c.constant([1, -1, -1], like=hue)), c.constant([-1, 2, 2], like=hue))
    colour = c.op("Clip", ramp, zero, one)
    tinted = c.op("Add", c.op("Sub", one, saturation), c.op("Mul", saturation, colour))
    c.finish(c.op("Mul", tinted, value))
