"""`Erfc`, to which TensorFlow lowers GELU (tensorflow-onnx #2347, #2463): 1 - Erf(x)."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Erfc"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Sub(1, Erf(x))`."""
    c = Composition(ctx, node)
    (x,) = c.inputs
    c.finish(c.op("Sub", c.constant(1, like=x), c.op("Erf", x)))
