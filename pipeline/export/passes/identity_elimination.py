"""Identities taken out, but for those that a branch needs to hand on a value from outside.

onnx-ir's own pass makes the outer value an output of the branch, whose graph does not hold it: the file is then no
valid model (a condition with a branch that does nothing).
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import IdentityEliminationPass


class IdentityPass(ir.passes.InPlacePass):
    """onnx-ir's elimination, with those that it would get wrong hidden from it."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Eliminate in place."""
        handed_on = [node for node in ir.traversal.RecursiveGraphIterator(model.graph) if _hands_on(node)]
        for node in handed_on:
            node.op_type = _HIDDEN
        try:
            return IdentityEliminationPass()(model)
        finally:
            for node in handed_on:
                node.op_type = "Identity"


_HIDDEN = "IdentityOfOuterValue"


def _hands_on(node: ir.Node) -> bool:
    """Whether this is an identity from an outer graph's value to an output of its own graph."""
    if node.op_type != "Identity" or not node.outputs[0].is_graph_output() or node.inputs[0] is None:
        return False
    value = node.inputs[0]
    return value.graph is not node.graph
