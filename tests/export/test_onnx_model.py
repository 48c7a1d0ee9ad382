"""Exporting large graphs."""

from __future__ import annotations

import time

import keras
import pytest
from keras import layers, ops

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.signature import read_signature
from tests.zoo import ZOO


@pytest.mark.slow
def test_a_layer_called_two_hundred_times_is_exported_within_half_a_minute() -> None:
    """Nothing in the exporter may look at every call for every call."""
    model = ZOO["two_hundred_calls"]()
    signature = read_signature(model)
    started = time.monotonic()
    exported = export_onnx(flatten_labelled(model), read(model), signature, 18)
    seconds = time.monotonic() - started
    print(f"{len(list(exported.model.graph))} nodes in {seconds:.1f} s")
    assert seconds < 30


class Flattened(layers.Layer):
    """Dense over two free axes at once, as attention over images does it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(6)

    def call(self, x):
        """There and back."""
        batch, height, width = ops.shape(x)[0], ops.shape(x)[1], ops.shape(x)[2]
        rows = self.dense(ops.reshape(x, (batch, height * width, 6)))
        return ops.reshape(rows, (batch, height, width, 6))

    def compute_output_shape(self, shape):
        """The same."""
        return shape


def test_a_block_that_computes_shapes_may_be_called_many_times() -> None:
    """Each size is worked out once: shapes are made of shapes, and paths through them double with each call."""
    block = Flattened()
    start = result = keras.Input((None, None, 6), name="x")
    for _ in range(12):
        result = block(result)
    model = keras.Model(start, result)
    began = time.monotonic()
    export_onnx(flatten_labelled(model), read(model), read_signature(model), 18)
    assert time.monotonic() - began < 10
