"""`Complex`: kept as the pair of its parts (`pipeline.export.complex_pairs`)."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import leave_pair
from pipeline.export.composition import Composition

OPERATION = "Complex"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Leave the node, whose readers take its inputs."""
    c = Composition(ctx, node)
    leave_pair(c, *c.inputs)
