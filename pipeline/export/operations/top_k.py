"""`TopKV2` (also sorting): tf2onnx casts to float32, in which neighbouring integers and doubles become one."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pipeline.export.composition import FLOAT, INT32, INT64, Composition

OPERATION = "TopKV2"

_KERNELS = (FLOAT, TensorProto.DOUBLE, INT32, INT64)


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by `TopK` in the dtype itself, or in a wider one that onnxruntime has a kernel for.

    Raises:
        ValueError: if the numbers are not to be sorted: TensorFlow then gives them in an order of its own.
    """
    c = Composition(ctx, node)
    x, k = c.inputs
    if not node.get_attr_value("sorted", 1) and c.value(k) != 1:
        raise ValueError(f"{name}: which order TensorFlow leaves unsorted numbers in, ONNX can't say: give sorted=True")
    dtype, index_dtype = (ctx.get_dtype(output) for output in node.output)
    through = dtype if dtype in _KERNELS else FLOAT if c.is_float(x) else INT64
    count = c.op("Reshape", c.cast(k, INT64), c.ints(1))
    values, indices = c.outputs("TopK", c.cast(x, through), count, count=2, sorted=1, largest=1)
    c.finish(c.cast(values, dtype), c.cast(indices, index_dtype))
