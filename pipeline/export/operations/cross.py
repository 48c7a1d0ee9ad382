"""`Cross`: the vector product over a last axis of 3."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Cross"

_TURNS = ((1, 2, 0), (2, 0, 1))


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by two products of the vectors turned by one and by two places."""
    c = Composition(ctx, node)
    first, second = c.inputs
    turned = [[c.op("Gather", vector, c.ints(*order), axis=-1) for order in _TURNS] for vector in (first, second)]
    ahead = c.op("Mul", turned[0][0], turned[1][1])
    back = c.op("Mul", turned[0][1], turned[1][0])
    c.finish(c.op("Sub", ahead, back))
