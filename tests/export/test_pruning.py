"""Assignments that no answer depends on."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import BadInput
from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("layer", [layers.RandomHue(0.1), layers.RandomSharpness(0.1), layers.MixUp()])
def test_a_seed_that_is_drawn_for_nothing_is_no_state(layer) -> None:
    """Augmentation that is off at inference."""
    assert_agrees(layer, np.abs(normal(2, 5, 6, 3)))


class Counter(layers.Layer):
    """Multiplies by the number of its calls."""

    def build(self, shape):
        """One count."""
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        """Count, then multiply."""
        self.count.assign_add(1.0)
        return x * self.count


class Noise(layers.Layer):
    """Adds a draw, in training or not."""

    def __init__(self, **options):
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(1)

    def call(self, x):
        """Draw."""
        return x + keras.random.normal(keras.ops.shape(x), seed=self.generator)


@pytest.mark.parametrize("layer", [Counter, Noise])
def test_a_variable_that_is_changed_and_read_is_refused(layer) -> None:
    """A count, and a seed whose draw is used."""
    with pytest.raises(BadInput):
        assert_agrees(layer(), normal(2, 3))
