"""`BroadcastArgs`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
def test_numbers_between_tensors_of_two_shapes(opset: int) -> None:
    """`linspace` from a row to a matrix."""
    assert_agrees(lambda x, y: ops.linspace(x, y, 5), normal(2, 3), np.ones((1, 3), "float32"), opset=opset)
