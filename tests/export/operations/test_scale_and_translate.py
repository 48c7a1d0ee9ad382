"""`ScaleAndTranslate`."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("size", [(5, 4), (13, 20)])
def test_antialiased_resizing(method: str, size: tuple[int, int]) -> None:
    """Smaller and larger."""
    assert_agrees(layers.Resizing(*size, interpolation=method, antialias=True), normal(2, 8, 9, 3))


@pytest.mark.parametrize("opset", [13, 18])
def test_lanczos_without_antialiasing(opset: int) -> None:
    """At free sizes."""
    assert_agrees(layers.Resizing(5, 13, interpolation="lanczos3"), normal(2, 8, 9, 3), free=True, opset=opset)


def test_no_weights_are_stored() -> None:
    """The model computes them."""
    proto = assert_agrees(layers.Resizing(60, 60, interpolation="lanczos5"), normal(1, 100, 90, 3), rtol=1e-4)
    assert proto.ByteSize() < 20_000


@pytest.mark.parametrize("kernel", ["gaussian", "box", "mitchellcubic", "lanczos1"])
def test_every_kernel_that_tensorflow_has(kernel: str) -> None:
    """Shifted, so that a part lies outside the image."""

    def resized(images):
        return tf.raw_ops.ScaleAndTranslate(
            images=images, size=[5, 6], scale=[0.7, 1.3], translation=[1.2, -0.7], kernel_type=kernel, antialias=True
        )

    assert_agrees(keras.layers.Lambda(resized, output_shape=(5, 6, 3)), normal(2, 8, 9, 3), rtol=1e-4)
