"""Nothing but the answer: losses, regularisers, metrics and odd names at inference."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers, ops

from pipeline.graph.inference import serving


class Measuring(layers.Layer):
    """Adds a loss and feeds a metric whenever it is called."""

    def __init__(self) -> None:
        super().__init__(name="measuring", activity_regularizer="l2")
        self.mean = keras.metrics.Mean(name="mean")

    def call(self, x):
        """The input as it is."""
        self.add_loss(ops.mean(x))
        self.mean.update_state(x)
        return x * 1.0


def traced(model: keras.Model) -> list[str]:
    """The operations of the model's graph at inference."""

    def call(x):
        with serving(model):
            return model(x, training=False)

    concrete = tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec((None, 4)))
    return [operation.type for operation in concrete.graph.get_operations()]


def test_losses_regularisers_and_metrics_leave_no_operation() -> None:
    """In submodels and shared layers too; only what a layer hands over is computed by its own code."""
    i = keras.Input((4,))
    measuring = Measuring()
    tower = keras.Model(i, measuring(i))
    x = keras.Input((4,))
    operations = traced(keras.Model(x, measuring(tower(x))))
    assert set(operations) <= {"Placeholder", "Const", "Mul", "Identity", "NoOp", "Mean"}


def test_the_model_is_as_it_was_afterwards() -> None:
    """It can still be trained with its losses."""
    measuring = Measuring()
    x = keras.Input((4,))
    model = keras.Model(x, measuring(x))
    traced(model)
    model(tf.ones((2, 4)))
    assert len(model.losses) == 2
    assert float(measuring.mean.result()) == 1.0
    assert measuring.activity_regularizer is not None


def test_names_that_tensorflow_refuses_are_traced_under_others() -> None:
    """Spaces, colons, letters beyond ASCII, a leading underscore; the layers keep theirs."""
    x = keras.Input((4,), name="in put")
    names = ["two words", "co:lon", "é", "_first"]
    y = x
    for name in names:
        y = layers.Dense(4, name=name)(y)
    model = keras.Model(x, y, name="mod el:é")
    assert traced(model).count("MatMul") == 4
    assert [layer.name for layer in model.layers[1:]] == names
