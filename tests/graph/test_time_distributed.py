"""`TimeDistributed` over an open number of steps."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from pipeline.graph.call import named_call
from pipeline.truth.signature import read_signature
from tests.zoo import fill


def test_every_step_is_taken_whatever_the_batch() -> None:
    """A traced function with free axes gives what eager Keras gives; fewer rows than steps, and more."""
    inside = keras.Input((3,))
    centred = keras.Model(inside, inside - ops.mean(inside, axis=0, keepdims=True))
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, layers.TimeDistributed(centred)(layers.TimeDistributed(layers.Dense(3))(x)))
    fill(model, 3)
    signature = read_signature(model)
    call = named_call(model, signature)
    traced = tf.function(lambda x: call({"x": x}), input_signature=[tf.TensorSpec((None, None, 3))], autograph=False)
    for rows, steps in ((2, 5), (5, 2)):
        values = np.random.default_rng(4).normal(size=(rows, steps, 3)).astype("float32")
        (answer,) = traced(values).values()
        np.testing.assert_allclose(answer, model(values), atol=1e-5)
