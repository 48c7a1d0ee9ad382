"""`Select` and `SelectV2`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_nan_in_the_branch_not_taken_stays_there(dtype: str, opset: int) -> None:
    """A logarithm of negative numbers, and an infinity."""
    x = np.array([[-1.0, 0.0, 2.0], [3.0, -4.0, 0.5]], dtype)
    assert_agrees(lambda x: ops.where(x > 0, ops.log(x), 0.0), x, opset=opset, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64"])
def test_numbers_without_a_kernel_go_through_a_wider_dtype(dtype: str) -> None:
    """Booleans and narrow integers."""
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    condition = np.array([[True, False, True], [False, False, True]])
    assert_agrees(ops.where, condition, values, 1 - values if dtype != "bool" else ~values)


def test_a_condition_is_broadcast() -> None:
    """From a column, and over a new first axis."""
    condition = np.array([[True], [False]])
    assert_agrees(lambda c, x, y: ops.where(c, x, 1 / y), condition, normal(2, 3), np.zeros((1, 3), "float32"))
