"""`Cumprod`."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_over_any_axis(axis: int, opset: int) -> None:
    """Of three."""
    assert_agrees(lambda x: ops.cumprod(x, axis=axis), normal(2, 3, 4), opset=opset)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_exclusive_and_backwards(exclusive: bool, reverse: bool) -> None:
    """In TensorFlow's own terms."""

    def product(x):
        return tf.math.cumprod(x, axis=1, exclusive=exclusive, reverse=reverse)

    assert_agrees(keras.layers.Lambda(product, output_shape=(3, 4)), normal(2, 3, 4))
