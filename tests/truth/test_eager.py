"""Keras' differences from itself are told."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from pipeline.oracle.freeze import freeze
from tests.zoo import ZOO


def test_bytes_resized_eagerly_are_bytes_and_compiled_are_not(tmp_path) -> None:
    """The compiled function decides; the note says so."""
    image = keras.Input((4, 4, 3), dtype="uint8", name="image")
    model = keras.Model(image, layers.Resizing(6, 6, name="resized")(image))
    (note,) = freeze(model, tmp_path).notes
    assert note.startswith("output 'resized' of Keras called eagerly is uint8, compiled float32")


@pytest.mark.parametrize("name", ["dense_on_two_views", "masked_encoder_decoder"])
def test_ordinary_models_are_the_same_both_ways(name: str, tmp_path) -> None:
    """Rounding apart."""
    assert freeze(ZOO[name](), tmp_path).notes == ()
