"""`LowerBound` and `UpperBound`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("side", ["left", "right"])
def test_values_between_on_and_outside_the_sorted_numbers(side: str, opset: int) -> None:
    """One of them twice."""
    ordered = ops.convert_to_tensor(np.array([0.0, 1, 1, 3], "float32"))
    values = np.array([0, 1, 2, 3, -1, 5, 1], "float32")
    assert_agrees(lambda x: ops.searchsorted(ordered, x, side=side), values, opset=opset)
