"""Reductions of transposed tensors, as reductions of the tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import add_constant, integers, permutation, producer
from pipeline.export.passes.readers import is_read_once

_AXES_ARE_AN_INPUT = {"ReduceSum": 13}
_AXES_ARE_AN_INPUT_SINCE = 18
_OPERATORS = frozenset(
    f"Reduce{name}" for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)


class ReducedTransposesPass(ir.passes.InPlacePass):
    """Reduces before a `Transpose`, and transposes what is left: nothing where the moved axes are all dropped.

    A new axis is put in before a `Transpose` too: what comes nearer to another `Transpose` may become one with it.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        opset = model.graph.opset_imports.get("", 0)
        changed = [node for node in list(model.graph.all_nodes()) if _moved(node, model.graph, opset)]
        return ir.passes.PassResult(model, modified=bool(changed))


def _moved(node: ir.Node, graph: ir.Graph, opset: int) -> bool:
    before = producer(node)
    order = permutation(before)
    if order is None or before is None or node.op_type not in {"Unsqueeze", *_OPERATORS}:
        return False
    axes = integers(node, 1, "axes")
    if not axes:
        return False
    if node.op_type == "Unsqueeze":
        return _unsqueezed(node, before, order, axes)
    if "keepdims" not in node.attributes or node.attributes["keepdims"].as_int():
        return False
    dropped = {axis % len(order) for axis in axes}
    left = [axis for index, axis in enumerate(order) if index not in dropped]
    if left != sorted(left) and not _may_follow(before, node):
        return False
    node.replace_input_with(0, before.inputs[0])
    _set_axes(node, graph, sorted(order[axis] for axis in dropped), opset)
    if left != sorted(left):
        _follow(before, node, [sorted(left).index(axis) for axis in left])
    return True


def _unsqueezed(node: ir.Node, before: ir.Node, order: list[int], axes: list[int]) -> bool:
    """Put the axes in at the same places before the transpose, which then leaves them where they are."""
    rank = len(order) + len(axes)
    places = {axis % rank for axis in axes}
    if not _may_follow(before, node):
        return False
    kept = [axis for axis in range(rank) if axis not in places]  # where the axes of the tensor itself come to lie
    node.replace_input_with(0, before.inputs[0])
    moved = iter(order)
    _follow(before, node, [axis if axis in places else kept[next(moved)] for axis in range(rank)])
    return True


def _may_follow(transpose: ir.Node, node: ir.Node) -> bool:
    """Whether a transpose can come behind the node that reads it, and leave nothing where it was."""
    return is_read_once(transpose.outputs[0]) and not node.outputs[0].is_graph_output()


def _follow(transpose: ir.Node, node: ir.Node, order: list[int]) -> None:
    """Transpose the result of a node for whoever reads it, in the stead of `transpose`, which nothing reads now."""
    result = node.outputs[0]
    turned = ir.node("Transpose", [result], attributes={"perm": order}, name=transpose.name)
    assert node.graph is not None
    node.graph.insert_after(node, turned)
    new = turned.outputs[0]
    new.name, new.type, new.shape = transpose.outputs[0].name, result.type, result.shape
    if result.shape is not None:
        result.shape = ir.Shape([result.shape[order.index(axis)] for axis in range(len(order))])
    for use in [use for use in result.uses() if use.node is not turned]:
        use.node.replace_input_with(use.idx, new)


def _set_axes(node: ir.Node, graph: ir.Graph, axes: list[int], opset: int) -> None:
    if opset < _AXES_ARE_AN_INPUT.get(node.op_type, _AXES_ARE_AN_INPUT_SINCE):
        node.attributes["axes"] = ir.AttrInt64s("axes", axes)
        return
    node.replace_input_with(1, add_constant(graph, f"{node.name}/axes", np.array(axes, np.int64)))
