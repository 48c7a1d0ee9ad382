"""Equal constants stored as one, weights aside."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir


class MergedConstantsPass(ir.passes.InPlacePass):
    """Keeps the first of equal initializers. Those named are weights: two that happen to be equal stay two."""

    def __init__(self, weights: Collection[str]) -> None:
        super().__init__()
        self._weights = weights

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merge in place; nodes must be in their canonical order."""
        first: dict[tuple[object, ...], ir.Value] = {}
        before = len(model.graph.initializers)
        for name, value in list(model.graph.initializers.items()):
            is_fed_or_read = value.is_graph_input() or value.is_graph_output()
            if name in self._weights or is_fed_or_read or value.const_value is None:
                continue
            same = first.setdefault(_content(value.const_value), value)
            if same is not value:
                ir.convenience.replace_all_uses_with(value, same)
                del model.graph.initializers[name]
        return ir.passes.PassResult(model, modified=len(model.graph.initializers) < before)


def _content(tensor: ir.TensorProtocol) -> tuple[object, ...]:
    array = np.asarray(tensor.numpy())
    # NumPy pads text with bytes of 0, so that what ends in them is what does not.
    held = tuple(tensor.string_data()) if isinstance(tensor, ir.StringTensor) else array.tobytes()
    return (tensor.dtype, array.shape, held)
