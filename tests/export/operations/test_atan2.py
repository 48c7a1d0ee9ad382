"""`Atan2`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import INF, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_every_quadrant_and_its_edges(opset: int) -> None:
    """Zeros of both signs, infinities, and finite numbers against each other."""
    edges = [0.0, -0.0, 1.0, -2.0, INF, -INF]
    y, x = (np.array([part], "float32") for part in zip(*itertools.product(edges, edges), strict=True))
    assert_agrees(ops.arctan2, y, x, opset=opset)


@pytest.mark.parametrize("opset", [13, 18])
def test_the_angle_of_a_complex_number(opset: int) -> None:
    """From its parts, turned by half a circle too."""
    edges = [0.0, -0.0, 1.0, -2.0]
    imaginary, real = (np.array([part], "float32") for part in zip(*itertools.product(edges, edges), strict=True))
    pairs = np.stack([real, imaginary], axis=-1)
    angle = layers.Lambda(lambda pair: tf.math.angle(tf.complex(pair[..., 0], pair[..., 1])))
    assert_agrees(angle, pairs, opset=opset)
