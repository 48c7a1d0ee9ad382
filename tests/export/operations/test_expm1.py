"""`Expm1`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import INF, NAN, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_small_and_large_numbers_keep_their_digits(opset: int) -> None:
    """1e-7 is itself; the ends are -1 and infinity."""
    x = np.array([[1e-7, -1e-7, 0.3, 1.0, -1.0, 20.0, -20.0, INF, -INF, NAN]], "float32")
    assert_agrees(lambda x: ops.expm1(x) * 1e7, x, opset=opset)
