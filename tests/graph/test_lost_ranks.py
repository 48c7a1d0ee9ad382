"""Ranks that TensorFlow loses."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from pipeline.graph.call import named_call
from pipeline.oracle.freeze import freeze
from pipeline.truth.signature import read_signature

WEIGHTS = np.arange(1, 6, dtype="float32")


def averaged() -> keras.Model:
    """A weighted average of five steps, in a tower: read by a Dense, and given out."""
    i = keras.Input((5, 4))
    tower = keras.Model(i, ops.average(i, axis=1, weights=WEIGHTS), name="tower")
    a, b = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b")
    dense = layers.Dense(3)
    return keras.Model([a, b], [dense(tower(a)), tower(b)])


def test_an_average_with_weights_is_frozen(tmp_path: Path) -> None:
    """With the shapes that Keras knows."""
    truth = freeze(averaged(), tmp_path, effort="quick")
    assert [spec.shape for spec in truth.signature.outputs] == [("batch", 3), ("batch", 4)]


def test_answers_stay_what_they_were() -> None:
    """Traced and eager."""
    model = averaged()
    feed = {name: np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32") for name in "ab"}
    signature = read_signature(model)
    found = named_call(model, signature)({name: ops.convert_to_tensor(value) for name, value in feed.items()})
    wanted = np.average(feed["b"], axis=1, weights=WEIGHTS)
    np.testing.assert_allclose(np.asarray(found[signature.outputs[1].name]), wanted, rtol=1e-5)
