"""Convolutions in groups, in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.truth.float64 import float64_model
from pipeline.truth.signature import read_signature
from pipeline.truth.wide_scope import computing_in_float64

GROUPED = {
    "one channel each": (layers.Conv2D(8, 3, groups=8, padding="same"), (9, 7, 8)),
    "two results of a channel": (layers.Conv2D(16, 3, groups=8, strides=2), (9, 9, 8)),
    "four groups, dilated": (layers.Conv2D(8, 3, groups=4, dilation_rate=2, padding="same"), (9, 7, 8)),
    "channels first": (layers.Conv2D(4, 3, groups=2, data_format="channels_first"), (4, 9, 7)),
    "steps": (layers.Conv1D(6, 3, groups=3, padding="causal"), (9, 3)),
    "volumes": (layers.Conv3D(4, 2, groups=4), (5, 6, 4, 4)),
}


@pytest.mark.parametrize("name", sorted(GROUPED))
def test_groups_give_the_same_sums(name: str) -> None:
    """As Keras' own, which XLA computes, to the precision of float64."""
    layer, shape = GROUPED[name]
    layer = type(layer).from_config(layer.get_config() | {"dtype": "float64"})
    x = np.random.default_rng(0).normal(size=(2, *shape))
    own = layer(x)
    with computing_in_float64():
        np.testing.assert_allclose(layer(x), own, rtol=1e-12, atol=1e-12)


def test_no_group_is_left_to_xla() -> None:
    """In a float64 model there is no operation that XLA has to compile."""
    x = keras.Input((8, 8, 6), name="x")
    hidden = layers.Conv2D(6, 3, groups=6, name="own")(layers.Conv2D(6, 3, groups=2, name="few")(x))
    model = keras.Model(x, layers.GlobalAveragePooling2D()(hidden))
    clone = float64_model(model)
    call: Any = clone.named_call(read_signature(model))
    graph = tf.function(call).get_concrete_function({"x": tf.TensorSpec((2, 8, 8, 6), tf.float64)}).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("Conv2D") == 2
    assert kinds.count("DepthwiseConv2dNative") == 1
    assert not [kind for kind in kinds if "Call" in kind]
