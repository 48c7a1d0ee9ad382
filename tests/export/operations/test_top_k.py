"""`TopKV2`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_neighbours_beyond_single_precision_are_told_apart(dtype: str) -> None:
    """2^30 and the numbers above it; sorted too."""
    x = np.array([[2**30 + 1, 2**30, 3, 2**30 + 2]], dtype)
    assert_agrees(lambda x: ops.top_k(x, 2), x)
    assert_agrees(ops.sort, x)


@pytest.mark.parametrize("opset", [13, 18])
def test_of_equal_values_the_first_comes_first(opset: int) -> None:
    """Values and places."""
    x = np.array([[1, 1, 0, 0, 1, 0], [2, 3, 3, 2, 2, 2]], "float32")
    assert_agrees(lambda x: ops.top_k(x, 4), x, opset=opset)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_narrow_numbers_are_sorted_in_a_wider_dtype(dtype: str) -> None:
    """onnxruntime has no kernel for them."""
    assert_agrees(ops.argsort, np.array([[200, 3, 0, 9]]).astype(dtype))


def test_an_order_that_tensorflow_leaves_open_is_refused() -> None:
    """But of one number, which has no order."""
    x = np.array([[5, 2, 8, 1, 9, 3]], "float32")
    with pytest.raises(ConversionFailed, match=r"call site 'top_k.*in, ONNX can't say: give sorted=True"):
        assert_agrees(lambda x: ops.top_k(x, 3, sorted=False), x)
    assert_agrees(lambda x: ops.top_k(x, 1, sorted=False), x)
