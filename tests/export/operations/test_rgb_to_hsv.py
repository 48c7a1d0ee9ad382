"""`RGBToHSV`."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_every_order_of_the_colours_and_grey(opset: int) -> None:
    """Ties and black too."""
    rgb = list(itertools.product([0.0, 0.5, 1.0], repeat=3))
    assert_agrees(keras.ops.image.rgb_to_hsv, np.array([[rgb]], "float32"), opset=opset)
