"""`TimeDistributed` with its steps merged, against Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.export.recurrent.agreement import Exported

INNER = {
    "dense": ((4,), lambda: layers.Dense(3)),
    "convolution": ((5, 5, 2), lambda: layers.Conv2D(3, 2, activation="relu")),
    "recurrent": ((4, 2), lambda: layers.GRU(3)),
    "both_directions": ((4, 2), lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True))),
    "model": ((4, 2), lambda: keras.Sequential([layers.Masking(), layers.LSTM(3), layers.Dense(2)])),
    "normalisation": ((4,), lambda: layers.BatchNormalization()),
}


@pytest.mark.parametrize("steps", [3, None])
@pytest.mark.parametrize("name", sorted(INNER))
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
