"""`Conj`: a complex number mirrored at the real axis."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import leave_pair, pair_of
from pipeline.export.composition import Composition

OPERATION = "Conj"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Leave the pair with its imaginary part negated."""
    c = Composition(ctx, node)
    real, imaginary = pair_of(c, c.inputs[0])
    leave_pair(c, real, c.op("Neg", imaginary))
