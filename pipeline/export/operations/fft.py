"""`FFT`, `FFT2D` and `FFT3D` and their inverses, over the last axes."""

from __future__ import annotations

from typing import Any

from pipeline.export.complex_pairs import fourier, leave_pair, pair_of
from pipeline.export.composition import Composition

OPERATION = ("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D")


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Leave the pair transformed over one axis after the other."""
    c = Composition(ctx, node)
    axes = int(node.type[-2]) if node.type.endswith("D") else 1
    pair = pair_of(c, c.inputs[0])
    for axis in range(-1, -axes - 1, -1):
        pair = fourier(c, pair, axis, inverse=node.type.startswith("I"))
    leave_pair(c, *pair)
