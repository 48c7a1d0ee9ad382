"""`LookupTableFindV2` of integers (`IntegerLookup`), which tf2onnx knows between strings and integers only."""

from __future__ import annotations

from typing import Any

from pipeline.export.composition import INT64, Composition
from pipeline.export.tables import KEYS, VALUES

OPERATION = "LookupTableFindV2"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by ONNX's `LabelEncoder`, with the table that the trace wrote to the node."""
    c = Composition(ctx, node)
    _, keys, default = c.inputs
    table = node.get_attr_value(KEYS), node.get_attr_value(VALUES)
    other = c.value(default)
    if not table[0] or other is None:
        raise ValueError(f"{name} looks up strings, or in a table of unknown content: look words up outside the model")
    found = c.outputs(
        "LabelEncoder",
        c.cast(keys, INT64),
        domain="ai.onnx.ml",
        keys_int64s=table[0],
        values_int64s=table[1],
        default_int64=int(other),
    )
    c.finish(c.cast(found[0], ctx.get_dtype(node.output[0])))
