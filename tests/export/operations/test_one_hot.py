"""`OneHot`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_an_index_out_of_range_is_no_class(dtype: str, axis: int, opset: int) -> None:
    """Negative ones neither."""
    index = np.array([[0, 3, 4, -1], [1, 2, 9, -4]], "int32")
    assert_agrees(lambda x: ops.one_hot(x, 4, axis=axis, dtype=dtype), index, opset=opset)
