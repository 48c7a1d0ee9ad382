"""What the faults are made of: the registry of them, and reading and writing the tensors of a model."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from pipeline.records import WEIGHT_MAP_KEY

Fault = Callable[[ModelProto], bool]
FAULTS: dict[str, Fault] = {}
OF_FORM: set[str] = set()


def fault(function: Fault) -> Fault:
    """Register a fault under its name, in words."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def fault_of_form(function: Fault) -> Fault:
    """Register a fault that answers need not show."""
    OF_FORM.add(function.__name__.replace("_", " "))
    return fault(function)


def nodes_of(model: ModelProto) -> list[NodeProto]:
    """Those of the main graph, as they are now."""
    return list(model.graph.node)


def stored_in(model: ModelProto) -> dict[str, TensorProto]:
    """The initializers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def floats_of(model: ModelProto) -> list[TensorProto]:
    """The weights of floating-point numbers: what the weight map names."""
    mapped = {entry["initializer"] for entry in entries(model)}
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    return [tensor for tensor in model.graph.initializer if tensor.name in mapped and tensor.data_type in floats]


def values_of(tensor: TensorProto) -> np.ndarray:
    """The elements, to be changed."""
    return np.array(numpy_helper.to_array(tensor))


def put_values(tensor: TensorProto, values: np.ndarray) -> None:
    """Other elements under the same name."""
    tensor.CopyFrom(numpy_helper.from_array(np.array(values, order="C"), tensor.name))


def entries(model: ModelProto) -> list[dict]:
    """The weight map in the file's metadata."""
    texts = [entry.value for entry in model.metadata_props if entry.key == WEIGHT_MAP_KEY]
    return json.loads(texts[0]) if texts else []
