"""Operations that bring gradients along: what is served is not differentiated."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.export.saved_model import export_saved_model
from pipeline.truth.signature import read_signature


def test_a_swish_is_saved_without_the_gradient_that_it_brings(tmp_path: Path, caplog) -> None:
    """Nobody is warned of it, answers are Keras' own, and whoever wants a gradient has one."""
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(4, activation="silu", name="hidden")(x)
    model = keras.Model(x, layers.Dense(3, activation="silu", name="dense")(hidden))
    export_saved_model(model, read_signature(model), tmp_path / "saved_model")
    held = tf.saved_model.load(str(tmp_path / "saved_model"))
    assert not caplog.records
    served = held.signatures["serving_default"]
    assert b"_gradient_op_type" not in (tmp_path / "saved_model" / "saved_model.pb").read_bytes()
    value = tf.constant(np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(value)
        own, found = model(value), served(x=value)["dense"]
    np.testing.assert_allclose(found, own, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(found, value), tape.gradient(own, value), rtol=1e-5, atol=1e-6)
