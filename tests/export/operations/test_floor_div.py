"""`FloorDiv`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_a_quotient_is_rounded_down(dtype: str, opset: int) -> None:
    """Of every pair of signs, and exactly above 2^24."""
    x = np.array([[7, -7, 7, -7, 0, 5, -100]]).astype(dtype)
    y = np.array([[3, 3, -3, -3, 3, 2, 7]]).astype(dtype)
    assert_agrees(ops.floor_divide, x, y, opset=opset)


def test_large_integers_keep_their_digits() -> None:
    """2^40 + 1 by -2."""
    assert_agrees(ops.floor_divide, np.array([[2**40 + 1]]), np.array([[-2]]))
