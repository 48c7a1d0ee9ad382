"""An ONNX file exported once, with the weights that its model has now."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import numpy_helper

from pipeline import weight_values
from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.graph.weights import named_weights
from pipeline.records import Signature
from tests.zoo.subject import OPSET


class File:
    """The file of a model, which is exported to a path when this is made."""

    def __init__(self, model: keras.Model, signature: Signature, path: Path) -> None:
        flat, graph = flatten_labelled(model), read(model)
        self._variables = {weight.name: weight.variable for weight in named_weights(flat, graph)}
        exported = export_onnx(flat, graph, signature, OPSET)
        exported.save(path)
        self._path = path
        self._proto = onnx.load(path)
        self._weight_map = exported.weight_map

    def refill(self) -> None:
        """Write the weights that the model has now into the file, each where the weight map says."""
        tensors = {tensor.name: tensor for tensor in self._proto.graph.initializer}
        for placement in self._weight_map:
            if placement.initializer is not None:
                tensor = tensors[placement.initializer]
                values = np.array(numpy_helper.to_array(tensor))
                weight = np.asarray(self._variables[placement.weight]).astype(values.dtype)
                weight_values.write(weight.reshape(placement.shape), placement.blocks, values)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        self._path.write_bytes(self._proto.SerializeToString())
