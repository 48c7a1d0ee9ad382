"""The markers that stand for ONNX's own operators (`pipeline/export/markers.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from pipeline.export.composition import Composition
from pipeline.export.markers import OPERATION as OPERATION
from pipeline.export.markers import OperatorToken
from pipeline.export.recurrent.lowering import lower, operands
from pipeline.export.recurrent.spec import RecurrentSpec


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the marker by the node, or the recurrent nodes, that it stands for."""
    c = Composition(ctx, node)
    text = node.get_attr_value("token").decode()
    token = OperatorToken.read(text)
    if token is not None:
        c.finish(c.op(token.operator, *c.inputs, **token.attributes))
        return
    spec = RecurrentSpec.from_token(text)
    sequence = node.output[1]
    is_read = bool(ctx.find_output_consumers(sequence)) or sequence in ctx.outputs
    results = lower(_Emitter(c), spec, operands(spec, c.inputs), wants_sequence=is_read)
    c.finish(results.last, results.sequence or results.last, *results.states)


class _Emitter:
    """Adds nodes to a composition."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self.constant = composition.constant
        self.value = composition.value

    def node(self, operation: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node."""
        told = {
            key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            for key, value in attributes.items()
        }
        return self._composition.outputs(operation, *inputs, count=outputs, **told)
