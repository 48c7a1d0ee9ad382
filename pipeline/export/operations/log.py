"""`Log`: tf2onnx computes doubles in single precision and fails on halves."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Log"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by its namesake, which onnxruntime has for every float."""
    c = Composition(ctx, node)
    c.finish(c.op("Log", *c.inputs))
