"""`ArgMax` and `ArgMin`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float32"])
@pytest.mark.parametrize("operation", [ops.argmax, ops.argmin])
def test_the_first_of_equal_values_is_told(operation, dtype: str) -> None:
    """Of booleans too, for which ONNX has none."""
    assert_agrees(lambda x: operation(x, axis=1), np.array([[0, 1, 1], [1, 0, 0], [1, 1, 1]]).astype(dtype))
