"""`TimeDistributed` with its steps merged, against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.export.recurrent.agreement import Exported
from tests.sampling import sampled

INNER = {
    "dense": ((4,), lambda: layers.Dense(3)),
    "convolution": ((5, 5, 2), lambda: layers.Conv2D(3, 2, activation="relu")),
    "recurrent": ((4, 2), lambda: layers.GRU(3)),
    "both_directions": ((4, 2), lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True))),
    "model": ((4, 2), lambda: keras.Sequential([layers.Masking(), layers.LSTM(3), layers.Dense(2)])),
    "normalisation": ((4,), lambda: layers.BatchNormalization()),
}


@pytest.mark.parametrize("steps", [3, None])
@pytest.mark.parametrize("name", sampled(sorted(INNER), 2))
def test_one_call_does_for_all_steps(name: str, steps: int | None) -> None:
    """No loop and no copy for each step, whether their number is known or not."""
    shape, make = INNER[name]
    x = keras.Input((steps, *shape), name="x")
    exported = Exported(keras.Model(x, layers.TimeDistributed(make())(x)))
    operators = exported.operators()
    assert not operators["Loop"] + operators["Scan"]
    assert max(operators[each] for each in ("MatMul", "Conv", "GRU", "LSTM")) <= 2
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2, 3, *shape)).astype("float32")
    values[0, :, 0] = 0
    assert exported.error({"x": values}) < 2e-5


def test_a_layer_that_mixes_rows_keeps_its_steps_apart() -> None:
    """An operation over the batch axis would see other steps."""
    inside = keras.Input((4,))
    centred = keras.Model(inside, inside - ops.mean(inside, axis=0, keepdims=True))
    x = keras.Input((3, 4), name="x")
    exported = Exported(keras.Model(x, layers.TimeDistributed(centred)(x)))
    assert exported.error({"x": np.random.default_rng(3).normal(size=(2, 3, 4)).astype("float32")}) < 2e-5


MIXING = {
    "an_axis_that_is_the_first": lambda: layers.Softmax(axis=0),
    "the_first_axis_counted_from_the_last": lambda: layers.UnitNormalization(axis=-2),
    "an_activation_of_the_users": lambda: layers.Dense(4, activation=lambda t: t - ops.mean(t, axis=0)),
    "an_activation_layer_of_the_users": lambda: layers.Activation(lambda t: t - ops.mean(t, axis=0)),
    "one_of_them_in_a_model": lambda: keras.Sequential([layers.Dense(4), layers.Softmax(axis=0)]),
    "an_einsum_over_rows": lambda: layers.EinsumDense("ab,ca->cb", output_shape=4),
}


@pytest.mark.parametrize("name", sorted(MIXING))
def test_a_layer_of_keras_own_may_mix_rows(name: str) -> None:
    """By what it was made with."""
    x = keras.Input((3, 4), batch_size=4 if "einsum" in name else None, name="x")
    exported = Exported(keras.Model(x, layers.TimeDistributed(MIXING[name]())(x)))
    assert exported.error({"x": np.random.default_rng(3).normal(size=(4, 3, 4)).astype("float32")}) < 2e-5


def test_an_einsum_by_rows_is_one_product() -> None:
    """Its rows lead, and are no weight's."""
    x = keras.Input((3, 4), name="x")
    layer = layers.TimeDistributed(layers.EinsumDense("ab,bc->ac", output_shape=5, activation="tanh"))
    assert Exported(keras.Model(x, layer(x))).operators()["MatMul"] <= 1
