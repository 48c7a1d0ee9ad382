"""`HSVToRGB`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_around_the_circle_and_grey(opset: int) -> None:
    """Every sixth of it, the ends included."""
    hsv = [[hue / 12, saturation, 0.7] for hue in range(13) for saturation in (0.0, 0.5, 1.0)]
    assert_agrees(keras.ops.image.hsv_to_rgb, np.array([[hsv]], "float32"), opset=opset)
