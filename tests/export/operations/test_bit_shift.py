"""`LeftShift` and `RightShift`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("operation", [ops.right_shift, ops.left_shift])
def test_a_sign_moves_with_its_number(operation, dtype: str, opset: int) -> None:
    """-100 shifted right by 3 is -13."""
    assert_agrees(operation, np.array([[-100, 7, 100, -1]]).astype(dtype), np.array([[3, 2, 1, 7]], dtype), opset=opset)
