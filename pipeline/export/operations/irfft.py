"""`IRFFT`: real numbers of the half of their transform that `RFFT` keeps (also in `istft`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.complex_pairs import circle, counts, fitted, pair_of
from pipeline.export.composition import Composition

OPERATION = "IRFFT"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by two matrix products, every frequency but the first and the middle one counted twice."""
    c = Composition(ctx, node)
    x, length = c.inputs
    count, kept = counts(c, length)
    real, imaginary = (fitted(c, part, kept) for part in pair_of(c, x))
    cosine, sine = circle(c, count, kept, like=real)
    dtype = c.dtype(real)
    weight = c.op("Div", _times_counted(c, count, kept, dtype), c.cast(count, dtype))
    parts = [c.op("Mul", part, weight) for part in (real, imaginary)]
    by_cosine = c.op("MatMul", parts[0], c.op("Transpose", cosine, perm=[1, 0]))
    by_sine = c.op("MatMul", parts[1], c.op("Transpose", sine, perm=[1, 0]))
    c.finish(c.op("Add", by_cosine, by_sine))


def _times_counted(c: Composition, count: str, kept: str, dtype: int) -> str:
    """1 for the frequencies that are their own mirror image, 2 for the others."""
    frequency = c.arange(kept)
    mirrored = c.op("Mod", c.op("Sub", count, frequency), count)
    is_own = c.op("Equal", frequency, mirrored)
    return c.cast(c.op("Where", is_own, c.constant(np.int64(1)), c.constant(np.int64(2))), dtype)
