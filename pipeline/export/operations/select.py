"""`Select` and `SelectV2` (`where`): tf2onnx multiplies by the mask, which lets a NaN of the branch not taken through.

tf2onnx finds products faster in onnxruntime; they are wrong for `where(x > 0, log(x), 0)`. ONNX's `Where` picks.
"""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pipeline.export.composition import Composition

OPERATION = ("Select", "SelectV2")

# onnxruntime 1.32 has no `Where` for these.
_THROUGH = {
    TensorProto.BOOL: TensorProto.UINT8,
    TensorProto.INT8: TensorProto.INT32,
    TensorProto.INT16: TensorProto.INT32,
    TensorProto.UINT16: TensorProto.INT32,
    TensorProto.UINT32: TensorProto.INT64,
}


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `Where`; the condition of a `Select` of rank 1 picks whole rows."""
    c = Composition(ctx, node)
    condition, taken, other = c.inputs
    rank = ctx.get_rank(taken) or ctx.get_rank(other) or 0
    if node.type == "Select" and ctx.get_rank(condition) == 1 and rank > 1:
        condition = c.unsqueeze(condition, *range(1, rank))
    dtype = c.dtype(taken)
    through = _THROUGH.get(dtype, dtype)
    c.finish(c.cast(c.op("Where", condition, c.cast(taken, through), c.cast(other, through)), dtype))
