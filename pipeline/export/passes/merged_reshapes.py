"""Reshapes behind reshapes, as one."""

from __future__ import annotations

import onnx_ir as ir

from pipeline.export.passes.constants import constant, producer

_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


class MergedReshapesPass(ir.passes.InPlacePass):
    """Lets a `Reshape` to a shape that says every size, or all but one, read what came before another reshape."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place; what nobody reads any more is left for another pass."""
        changed = False
        for node in model.graph.all_nodes():
            before = producer(node)
            # A size of 0 is copied from the tensor that is reshaped, so that it says something else of another.
            shape = constant(node, 1) if node.op_type == "Reshape" else None
            if before is None or before.op_type not in _RESHAPING or shape is None or (shape == 0).any():
                continue
            node.replace_input_with(0, before.inputs[0])
            changed = True
        return ir.passes.PassResult(model, modified=changed)
