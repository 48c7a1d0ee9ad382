"""`Unique` and its kin: tf2onnx has none along an axis, casts doubles to floats, and forgets the dtype of counts."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pipeline.export.composition import DOUBLE, FLOAT, INT64, Composition

OPERATION = ("Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2")

_KERNELS = (FLOAT, DOUBLE, INT64, TensorProto.INT8)


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by ONNX's `Unique` in the order of first occurrence.

    Raises:
        ValueError: if the axis is computed when the model runs.
    """
    c = Composition(ctx, node)
    x = c.inputs[0]
    dtype = c.dtype(x)
    through = dtype if dtype in _KERNELS else FLOAT if c.is_float(x) else INT64
    values, _, inverse, counts = c.outputs("Unique", c.cast(x, through), count=4, sorted=0, **_axis(c))
    results = [c.cast(values, dtype)]
    for output, result in zip(node.output[1:], (inverse, counts), strict=False):
        results.append(c.cast(result, ctx.get_dtype(output)))
    c.finish(*results)


def _axis(c: Composition) -> dict[str, Any]:
    """The axis along which slices are compared; none for the elements of a vector."""
    if not c.node.type.endswith("V2"):
        return {}
    axis = c.value(c.inputs[1])
    if axis is None:
        raise ValueError(f"{c.node.type} along an axis that is computed when the model runs: give it as a number")
    return {"axis": int(axis.flat[0])} if axis.size else {}
