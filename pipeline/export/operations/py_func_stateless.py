"""The markers that stand for ONNX's own operators (`pipeline/export/markers.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper
from tf2onnx import utils

from pipeline.export.markers import OPERATION as OPERATION
from pipeline.export.markers import OperatorToken
from pipeline.export.recurrent.lowering import lower, operands
from pipeline.export.recurrent.spec import RecurrentSpec


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the marker by the node, or the recurrent nodes, that it stands for."""
    text = node.get_attr_value("token").decode()
    token = OperatorToken.read(text)
    if token is None:
        _lower_recurrence(ctx, node, name, RecurrentSpec.from_token(text))
        return
    inputs, outputs, shape = list(node.input), list(node.output), ctx.get_shape(node.output[0])
    ctx.remove_node(node.name)
    ctx.make_node(
        token.operator,
        inputs,
        attr=token.attributes,
        outputs=outputs,
        name=name,
        shapes=[shape],
        dtypes=[TensorProto.FLOAT],
    )


def _lower_recurrence(ctx: Any, node: Any, name: str, spec: RecurrentSpec) -> None:
    inputs, outputs = list(node.input), list(node.output)
    shapes = [ctx.get_shape(output) for output in outputs]
    wanted = [bool(ctx.find_output_consumers(output)) or output in ctx.outputs for output in outputs]
    ctx.remove_node(node.name)
    results = lower(_Emitter(ctx, name), spec, operands(spec, inputs), wants_sequence=wanted[1])
    tensors = [results.last, results.sequence, *results.states]
    for tensor, output, shape, is_wanted in zip(tensors, outputs, shapes, wanted, strict=True):
        if is_wanted:
            ctx.make_node("Identity", [tensor], outputs=[output], shapes=[shape], dtypes=[TensorProto.FLOAT])


class _Emitter:
    """Adds nodes to a graph of tf2onnx."""

    def __init__(self, ctx: Any, prefix: str) -> None:
        self._ctx = ctx
        self._prefix = prefix

    def node(self, operation: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node."""
        made = {
            key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            for key, value in attributes.items()
        }
        name = utils.make_name(f"{self._prefix}/{operation}")
        return list(self._ctx.make_node(operation, list(inputs), attr=made, output_count=outputs, name=name).output)

    def constant(self, value: np.ndarray) -> str:
        """Add a constant."""
        return str(self._ctx.make_const(utils.make_name(f"{self._prefix}/const"), value).output[0])

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of a constant."""
        node = self._ctx.get_node_by_output(tensor)
        return node.get_tensor_value(as_list=False) if node is not None and node.is_const() else None
