"""`Log1p`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import INF, NAN, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_small_and_large_numbers_keep_their_digits(opset: int) -> None:
    """1e-7 is itself; -1 is minus infinity, what lies below is nothing."""
    x = np.array([[1e-7, -1e-7, 1e-3, 0.3, 0.0, -1.0, 1e30, INF, -2.0, NAN]], "float32")
    assert_agrees(lambda x: ops.log1p(x) * 1e7, x, opset=opset)
