"""`Mod` and `TruncateMod`: the remainder with the dividend's sign."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = ("Mod", "TruncateMod")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Mod` in C's sense."""
    c = Composition(ctx, node)
    c.finish(c.op("Mod", *c.inputs, fmod=1))
