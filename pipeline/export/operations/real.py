"""`Real` and `Imag`: a part of a complex number."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import pair_of
from pipeline.export.composition import Composition

OPERATION = ("Real", "Imag")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the part."""
    c = Composition(ctx, node)
    real, imaginary = pair_of(c, c.inputs[0])
    c.finish(real if node.type == "Real" else imaginary)
