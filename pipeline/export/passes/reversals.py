"""A tensor reversed twice along one axis is the tensor."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import constant


class DoubleReversalPass(ir.passes.InPlacePass):
    """Drops pairs of `Slice` nodes that reverse the same axis: a backward layer inside `Bidirectional` leaves them."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire readers of the second `Slice` in place; what nobody reads any more is left for another pass."""
        changed = False
        for node in model.graph.all_nodes():
            inner, result = _undone(node), node.outputs[0]
            if inner is not None and result.uses() and not result.is_graph_output():
                ir.convenience.replace_all_uses_with(result, inner)
                changed = True
        return ir.passes.PassResult(model, modified=changed)


def _undone(node: ir.Node) -> ir.Value | None:
    """What a reversal of a reversal started from."""
    axis = reversed_axis(node)
    producer = node.inputs[0].producer() if axis is not None and node.inputs[0] is not None else None
    if producer is None or reversed_axis(producer) != axis:
        return None
    return producer.inputs[0]


def reversed_axis(node: ir.Node) -> int | None:
    """The one axis that a `Slice` reverses whole, or None for any other node."""
    if node.op_type != "Slice":
        return None
    values = [constant(node, index) for index in range(1, 5)]
    if any(value is None or value.size != 1 for value in values):
        return None
    start, end, axis, step = (int(np.asarray(value).item()) for value in values)
    return axis if step == -1 and start == -1 and end <= np.iinfo(np.int32).min else None
