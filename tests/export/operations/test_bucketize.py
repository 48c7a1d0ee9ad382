"""`Bucketize`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import layers, ops

from tests.export.operations.agreement import INF, NAN, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_a_value_on_a_boundary_has_reached_it(dtype: str, opset: int) -> None:
    """Of integers too."""
    x = np.array([[-2, -1, 0, 1, 2], [3, -1, -1, 0, 9]], dtype)
    boundaries = layers.Discretization(bin_boundaries=[-1.0, 0.0, 2.0], dtype="int32")
    assert_agrees(boundaries, x, opset=opset)


def test_nan_has_reached_every_boundary() -> None:
    """As in TensorFlow, whose search finds no boundary above it."""
    assert_agrees(lambda x: ops.digitize(x, np.array([0.0, 1.0])), np.array([[NAN, -INF, INF, 0.5]], "float32"))
