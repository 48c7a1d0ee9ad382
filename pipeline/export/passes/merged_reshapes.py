"""Reshapes behind reshapes, as one or none."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import constant, integers, producer

_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


class MergedReshapesPass(ir.passes.InPlacePass):
    """Lets a `Reshape` to a shape that says every size, or all but one, read what came before another reshape.

    Axes that are taken away and put back, or put in and taken away, stay as they were.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        changed = False
        for node in model.graph.all_nodes():
            before = producer(node)
            if before is not None and _is_undone(before, node):
                source = before.inputs[0]
                assert source is not None
                ir.convenience.replace_all_uses_with(node.outputs[0], source)
                changed = True
                continue
            # A size of 0 is copied from the tensor that is reshaped, so that it says something else of another.
            shape = constant(node, 1) if node.op_type == "Reshape" else None
            if before is None or before.op_type not in _RESHAPING or shape is None or (shape == 0).any():
                continue
            node.replace_input_with(0, before.inputs[0])
            changed = True
        return ir.passes.PassResult(model, modified=changed)


def _is_undone(before: ir.Node, node: ir.Node) -> bool:
    if {before.op_type, node.op_type} != {"Squeeze", "Unsqueeze"} or not node.outputs[0].uses():
        return False
    axes = integers(node, 1, "axes")
    return axes is not None and axes == integers(before, 1, "axes") and not node.outputs[0].is_graph_output()
