"""Functions that a layer compiles by itself, as plain Python of ours."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.oracle.inlined import CompiledByItself, own_functions_refused
from tests.export.operations.agreement import assert_agrees, normal


class Looping(layers.Layer):
    """A loop and a condition on tensors, which AutoGraph makes operations of."""

    def build(self, shape) -> None:
        """One weight, read in the loop."""
        self.factor = self.add_weight(shape=(shape[-1],), name="factor")

    @tf.function
    def looped(self, x):
        """A sum over a few steps, its sign by the input's."""
        y = tf.zeros_like(x)
        for step in tf.range(3):
            y = y + x * self.factor * tf.cast(step, tf.float32)
        if tf.reduce_sum(x) > 0:
            y = -y
        return y

    def call(self, x):
        """What is compiled."""
        return self.looped(x)

    def compute_output_shape(self, shape):
        """The same."""
        return shape


def test_loops_and_conditions_on_tensors_are_converted() -> None:
    """Both ways of the condition."""
    looping = Looping()
    for sign in (1, -1):
        assert_agrees(lambda a, b: looping(a) - looping(b), sign * np.abs(normal(2, 4)), normal(3, 4)[:2])


def test_layer_by_layer_a_function_that_was_traced_before_is_refused() -> None:
    """It reads the weights that it was traced with; in a graph it is called, and so is Keras' own code."""
    looping, x = Looping(), normal(2, 4)
    looping(x)
    with own_functions_refused():
        with pytest.raises(CompiledByItself):
            looping(x)
        keras.Sequential([layers.Dense(3)]).predict(x, verbose=0)
        tf.function(lambda y: looping.looped(y)).get_concrete_function(tf.TensorSpec((2, 4)))
    looping(x)
