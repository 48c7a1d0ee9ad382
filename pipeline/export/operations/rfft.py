"""`RFFT`: the transform of real numbers, of which half is kept (also in `stft`)."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import circle, counts, fitted, leave_pair
from pipeline.export.composition import Composition

OPERATION = "RFFT"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Leave the pair of two matrix products."""
    c = Composition(ctx, node)
    x, length = c.inputs
    count, kept = counts(c, length)
    x = fitted(c, x, count)
    cosine, sine = circle(c, count, kept, like=x)
    leave_pair(c, c.op("MatMul", x, cosine), c.op("MatMul", x, sine))
