"""Weights that are outputs as they are: prototypes beside the distances to them."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.export.onnx_model import export_onnx
from pipeline.export.saved_model import export_saved_model
from pipeline.graph.flatten import flatten, flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.freeze import freeze
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.traced import traced
from pipeline.truth.signature import read_signature
from pipeline.verify import onnx_half, savedmodel_half
from tests.export.test_zoo import failures


class Prototypes(layers.Layer):
    """Products with some vectors, and the vectors: as a tensor, or the variable itself."""

    def __init__(self, *, is_tensor: bool, **options) -> None:
        super().__init__(**options)
        self.is_tensor = is_tensor

    def build(self, shape) -> None:
        """The vectors."""
        self.vectors = self.add_weight(shape=(5, shape[-1]), name="vectors")

    def call(self, x):
        """Both."""
        vectors = ops.convert_to_tensor(self.vectors) if self.is_tensor else self.vectors
        return ops.matmul(x, ops.transpose(self.vectors)), vectors

    def compute_output_spec(self, x):
        """Of the two."""
        kind = self.compute_dtype
        return keras.KerasTensor((x.shape[0], 5), kind), keras.KerasTensor((5, x.shape[-1]), kind)

    def get_config(self):
        """What it was made with."""
        return {**super().get_config(), "is_tensor": self.is_tensor}


def prototypes(*, is_tensor: bool = True) -> keras.Model:
    """Two views against the same vectors."""
    layer = Prototypes(is_tensor=is_tensor, name="prototypes")
    a, b = (keras.Input((4,), name=name) for name in "ab")
    near, vectors = layer(a)
    return keras.Model([a, b], {"near": near - layer(b)[0], "vectors": vectors})


def test_a_weight_that_is_an_output_lies_where_the_weight_map_says(tmp_path) -> None:
    """Under its own name; the output has its own."""
    model = prototypes()
    truth = freeze(model, tmp_path, effort="quick")
    exported = export_onnx(flatten_labelled(model), read(model), truth.signature, 18)
    exported.save(tmp_path / "model.onnx")
    (placed,) = exported.weight_map
    stored = [each.name for each in onnx.load(tmp_path / "model.onnx").graph.initializer]
    assert placed.initializer in stored
    assert failures(onnx_half.verify(tmp_path / "model.onnx", tmp_path)) == []
    export_saved_model(flatten(model), truth.signature, tmp_path / "saved_model")
    assert failures(savedmodel_half.verify(tmp_path / "saved_model", tmp_path)) == []


@pytest.mark.parametrize("is_tensor", [True, False])
def test_a_variable_that_is_an_output_is_read_from_the_snapshot(tmp_path, is_tensor: bool) -> None:
    """In each artifact: who trains the model meanwhile changes nothing, and nothing is stored twice."""
    model = prototypes(is_tensor=is_tensor)
    snapshot, signature = Snapshot(model), read_signature(model)
    (weight,) = model.weights
    wanted = np.array(weight)
    weight.assign(wanted + 1)
    export_saved_model(flatten(model), signature, tmp_path / "saved_model", snapshot)
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    served = loaded.signatures["serving_default"]
    np.testing.assert_array_equal(served(a=tf.zeros((1, 4)), b=tf.zeros((1, 4)))["vectors"], wanted)
    assert len(served.variables) == 1
    exported = export_onnx(flatten_labelled(model), read(model), signature, 18, snapshot)
    (placed,) = exported.weight_map
    np.testing.assert_array_equal(exported.model.graph.initializers[placed.initializer].const_value.numpy(), wanted)
    asked = traced(model, signature, snapshot)
    assert asked.noisy is not None
    read_there = {id(each.handle) for each in (*asked.served.variables, *asked.noisy.function.variables)}
    assert read_there == {id(each.handle) for each in snapshot.copies}
