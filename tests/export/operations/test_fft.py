"""`FFT` and its kin."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("operation", [ops.fft, ops.fft2, ops.ifft2])
def test_one_and_two_axes_and_back(operation, opset: int) -> None:
    """Of 4 by 6 points."""
    assert_agrees(lambda x, y: operation((x, y)), normal(2, 4, 6), normal(3, 4, 6)[:2] ** 2, opset=opset)


def filtered(x):
    """A low pass in TensorFlow's own terms: pad, transform, cut, weigh, transform back."""
    spectrum = tf.signal.fft(tf.cast(tf.pad(x, [[0, 0], [2, 2]]), tf.complex64))
    kept = tf.concat([spectrum[:, :3], -spectrum[:, 3:]], axis=1) * tf.complex(0.5, 0.25)
    return tf.math.real(tf.signal.ifft(kept - tf.math.conj(kept) + spectrum))


def test_complex_tensors_are_moved_and_multiplied() -> None:
    """Between two transforms."""
    assert_agrees(keras.layers.Lambda(filtered, output_shape=(10,)), normal(2, 6))


def test_an_operation_on_complex_numbers_without_a_formula_is_refused() -> None:
    """By its name."""
    root = keras.layers.Lambda(lambda x: tf.math.real(tf.sqrt(tf.complex(x, x))), output_shape=(6,))
    with pytest.raises(ConversionFailed, match="Sqrt of complex numbers"):
        assert_agrees(root, normal(2, 6))
