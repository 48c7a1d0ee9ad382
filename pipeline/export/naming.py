"""Keras' names and named free axes for the inputs and outputs of an ONNX graph."""

from __future__ import annotations

import ml_dtypes  # noqa: F401 - registers bfloat16 with numpy
import numpy as np
import onnx_ir as ir

from pipeline.records import Signature, TensorSpec


def name_tensors(model: ir.Model, signature: Signature) -> None:
    """Give the graph's inputs and outputs the names, dtypes and shapes of the signature, in its order.

    An input that the graph does not read is added: a caller must not have to know which ones matter. Other tensors that
    bear one of these names get another.
    """
    graph = model.graph
    given = {tensor.name: tensor for tensor in graph.inputs}
    inputs = [given.get(f"input_{index}:0") or ir.Value() for index in range(len(signature.inputs))]
    _free_names(graph, {spec.name for spec in (*signature.inputs, *signature.outputs)}, inputs)
    specs: tuple[TensorSpec, ...] = (*signature.inputs, *signature.outputs)
    for tensor, spec in zip([*inputs, *graph.outputs], specs, strict=True):
        _describe(tensor, spec)
    graph.inputs.clear()
    graph.inputs.extend(inputs)


def _describe(tensor: ir.Value, spec: TensorSpec) -> None:
    tensor.name = spec.name
    tensor.dtype = ir.DataType.from_numpy(np.dtype(spec.dtype))
    tensor.shape = ir.Shape(spec.shape)


def _free_names(graph: ir.Graph, wanted: set[str], inputs: list[ir.Value]) -> None:
    """Rename whatever else in the graph bears a wanted name."""
    ends = {id(tensor) for tensor in (*inputs, *graph.outputs)}
    tensors = [*graph.initializers.values(), *(out for node in graph.all_nodes() for out in node.outputs)]
    for tensor in tensors:
        if tensor.name in wanted and id(tensor) not in ends:
            tensor.name = f"{tensor.name}__inner"
