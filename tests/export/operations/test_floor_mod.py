"""`FloorMod`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import INF, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_a_remainder_has_the_sign_of_the_divisor(dtype: str, opset: int) -> None:
    """Of every pair of signs."""
    x = np.array([[7, -7, 7, -7, 0, 6, -6]]).astype(dtype)
    y = np.array([[3, 3, -3, -3, 3, 2, -2]]).astype(dtype)
    assert_agrees(ops.mod, x, y, opset=opset)


def test_infinities_and_fractions_have_remainders_too() -> None:
    """A finite number by an infinite one, and 5.5 by 0.1."""
    x = np.array([[-0.0, 1.5, -1.5, 5.5, -5.5]], "float32")
    assert_agrees(ops.mod, x, np.array([[INF, INF, INF, 0.1, 0.1]], "float32"))
