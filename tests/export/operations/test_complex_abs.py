"""The length of a complex number."""

from __future__ import annotations

import keras
import tensorflow as tf

from tests.export.operations.agreement import assert_agrees, normal


class Complex(keras.layers.Layer):
    """In TensorFlow's own terms."""

    def call(self, pair):
        """Of the real and the imaginary part."""
        return (lambda r, i: tf.abs(tf.complex(r, i)))(*pair)

    def compute_output_shape(self, shapes):
        """One tensor."""
        return shapes[0]


def test_it_is_computed_from_the_pair() -> None:
    """The length of a complex number."""
    assert_agrees(lambda x, y: Complex()([x, y]), normal(2, 6), -2 * normal(2, 6))
