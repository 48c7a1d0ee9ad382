"""Transposes behind transposes, as one or none."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import permutation, producer


class ComposedTransposesPass(ir.passes.InPlacePass):
    """Makes a `Transpose` of a `Transpose` one of what the first reads, and drops it where it changes nothing."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        changed = [node for node in model.graph.all_nodes() if _composed(node)]
        return ir.passes.PassResult(model, modified=bool(changed))


def _composed(node: ir.Node) -> bool:
    outer, before = permutation(node), producer(node)
    if outer is None:
        return False
    inner = permutation(before)
    if inner is not None and before is not None:
        node.replace_input_with(0, before.inputs[0])
        outer = [inner[axis] for axis in outer]
        node.attributes["perm"] = ir.AttrInt64s("perm", outer)
    if outer == list(range(len(outer))) and not node.outputs[0].is_graph_output() and node.outputs[0].uses():
        source = node.inputs[0]
        assert source is not None
        ir.convenience.replace_all_uses_with(node.outputs[0], source)
        return True
    return inner is not None
