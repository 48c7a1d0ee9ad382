"""`InTopKV2`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import INF, assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_ties_and_scores_that_are_not_finite(opset: int) -> None:
    """A tie at the border is in; an infinite score is not."""
    scores = np.array([[1, 3, 3, 0], [1, 3, 3, 0], [INF, 1, 0, 2], [0, 1, 2, 3]], "float32")
    assert_agrees(lambda t, s: ops.in_top_k(t, s, 1), np.array([1, 0, 0, 3], "int32"), scores, opset=opset)
