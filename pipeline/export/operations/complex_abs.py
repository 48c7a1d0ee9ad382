"""`ComplexAbs`: the length of a complex number."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import pair_of
from pipeline.export.composition import Composition

OPERATION = "ComplexAbs"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the root of the squares' sum."""
    c = Composition(ctx, node)
    squares = [c.op("Mul", part, part) for part in pair_of(c, c.inputs[0])]
    c.finish(c.op("Sqrt", c.op("Add", *squares)))
