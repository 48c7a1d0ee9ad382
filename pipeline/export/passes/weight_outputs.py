"""An identity behind each weight that is an output as it is: the output has a name of its own.

Every other tensor may take its output's name; a weight keeps the one under which the weight map has it.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir


class WeightOutputsPass(ir.passes.InPlacePass):
    """Adds the identities to the main graph.

    Args:
        weights: names of the initializers that hold weights.
    """

    def __init__(self, weights: Collection[str]) -> None:
        super().__init__()
        self._weights = frozenset(weights)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Add them in place."""
        outputs = model.graph.outputs
        handed_out = [index for index, value in enumerate(outputs) if self._is_weight(value)]
        for index in handed_out:
            weight = outputs[index]
            output = ir.Value(name=f"{weight.name}/output_{index}", shape=weight.shape, type=weight.type)
            model.graph.append(ir.node("Identity", [weight], outputs=[output]))
            outputs[index] = output
        return ir.passes.PassResult(model, modified=bool(handed_out))

    def _is_weight(self, value: ir.Value) -> bool:
        return value.is_initializer() and value.name in self._weights
