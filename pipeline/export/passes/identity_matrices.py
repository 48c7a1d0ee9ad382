"""Identity matrices of every dtype: onnxruntime has `EyeLike` for a few only, and tf2onnx writes it for all."""

from __future__ import annotations

import onnx_ir as ir

# What onnxruntime 1.32 has a CPU kernel for, of the input and of the output alike.
_KERNELS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT32, ir.DataType.INT64, ir.DataType.UINT64})
_THROUGH = ir.DataType.INT32


class IdentityMatricesPass(ir.passes.InPlacePass):
    """Makes an `EyeLike` of another dtype one of int32, and casts it: `ops.trace` asks for bool.

    What it takes the size of is cast to int32 before, if that is of another dtype.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; dtypes have to be inferred before."""
        changed = [_with_kernel(node) for node in list(model.graph.all_nodes()) if node.op_type == "EyeLike"]
        return ir.passes.PassResult(model, modified=any(changed))


def _with_kernel(node: ir.Node) -> bool:
    (given,), (output,) = node.inputs, node.outputs
    stated = node.attributes.get("dtype")
    dtype = ir.DataType(stated.as_int()) if stated is not None else output.dtype
    is_read = given is None or given.dtype is None or given.dtype in _KERNELS
    if dtype is None or (dtype in _KERNELS and is_read):
        return False
    assert node.graph is not None
    if not is_read:
        counted = ir.node("Cast", [given], attributes={"to": _THROUGH}, name=f"{node.name}/Cast")
        node.graph.insert_before(node, counted)
        node.replace_input_with(0, counted.outputs[0])
    if dtype in _KERNELS:
        return True
    node.attributes["dtype"] = ir.AttrInt64("dtype", _THROUGH)
    cast = ir.node("Cast", [output], attributes={"to": dtype}, name=f"{node.name}/Cast_1")
    ir.convenience.replace_all_uses_with(output, cast.outputs[0], replace_graph_outputs=True)
    cast.replace_input_with(0, output)
    cast.outputs[0].shape, cast.outputs[0].dtype = output.shape, dtype
    output.dtype = _THROUGH
    node.graph.insert_after(node, cast)
    return True
