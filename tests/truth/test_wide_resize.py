"""Images are resized in float64 as TensorFlow does it in float32."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.truth.wide_resize import resizing_in_float64


@pytest.mark.parametrize("size", [(4, 6), (16, 24), (5, 9), (31, 7), (1, 1)])
@pytest.mark.parametrize(
    ("method", "antialias"),
    [
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", False),
        ("bicubic", True),
        ("lanczos3", True),
        ("lanczos3", False),
        ("lanczos5", True),
        ("nearest", False),
    ],
)
def test_resizing_in_float64_is_tensorflows_own_but_for_its_rounding(method: str, antialias: bool, size) -> None:
    """Enlarged and reduced, by whole factors and by others."""
    images = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype(np.float32)
    single = tf.image.resize(images, size, method, antialias=antialias).numpy()
    with resizing_in_float64():
        double = tf.image.resize(images.astype(np.float64), size, method, antialias=antialias)
    assert double.dtype == tf.float64
    assert double.shape == single.shape
    assert np.abs(double.numpy() - single).max() < 3e-6


def test_a_linear_ramp_is_resized_exactly() -> None:
    """To units of float64: float32 inside would show."""
    ramp = np.linspace(0, 1, 16)[None, :, None, None] * np.ones((1, 16, 4, 1))
    with resizing_in_float64():
        found = tf.image.resize(ramp, (32, 4)).numpy()[0, :, 0, 0]
    expected = np.clip((np.arange(32) + 0.5) / 2 - 0.5, 0, 15) / 15
    assert np.abs(found - expected).max() < 1e-15


def test_images_in_less_are_resized_by_tensorflow() -> None:
    """Only what comes in float64 is."""
    images = np.ones((1, 4, 4, 1), np.float32)
    with resizing_in_float64():
        assert tf.image.resize(images, (8, 8)).dtype == tf.float32
