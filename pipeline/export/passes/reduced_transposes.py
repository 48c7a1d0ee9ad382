"""Reductions of transposed tensors, as reductions of the tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import integers, permutation, producer

_AXES_ARE_AN_INPUT = {"ReduceSum": 13}
_AXES_ARE_AN_INPUT_SINCE = 18
_OPERATORS = frozenset(
    f"Reduce{name}" for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)


class ReducedTransposesPass(ir.passes.InPlacePass):
    """Reduces before a `Transpose` that only moves axes which the reduction drops: pooling over images leaves them."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        opset = model.graph.opset_imports.get("", 0)
        changed = [node for node in model.graph.all_nodes() if _moved(node, model.graph, opset)]
        return ir.passes.PassResult(model, modified=bool(changed))


def _moved(node: ir.Node, graph: ir.Graph, opset: int) -> bool:
    order, before = permutation(producer(node)), producer(node)
    if node.op_type not in _OPERATORS or order is None or before is None:
        return False
    keeps = node.attributes["keepdims"].as_int() if "keepdims" in node.attributes else 1
    axes = integers(node, 1, "axes")
    if keeps or not axes:
        return False
    dropped = {axis % len(order) for axis in axes}
    left = [axis for index, axis in enumerate(order) if index not in dropped]
    if left != sorted(left):
        return False
    node.replace_input_with(0, before.inputs[0])
    _set_axes(node, graph, sorted(order[axis] for axis in dropped), opset)
    return True


def _set_axes(node: ir.Node, graph: ir.Graph, axes: list[int], opset: int) -> None:
    if opset < _AXES_ARE_AN_INPUT.get(node.op_type, _AXES_ARE_AN_INPUT_SINCE):
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)
        return
    name = f"{node.name}/axes"
    value = ir.Value(name=name, const_value=ir.tensor(np.array(axes, np.int64), name=name))
    graph.register_initializer(value)
    node.replace_input_with(1, value)
