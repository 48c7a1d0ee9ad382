"""`Erfinv`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_middle_tails_and_ends(opset: int) -> None:
    """-1 and 1 are infinities, what lies beyond is nothing."""
    x = np.array([[0.0, 1e-4, 0.5, -0.9, 0.999, -0.99999, 1.0, -1.0, 2.0]], "float32")
    assert_agrees(ops.erfinv, x, opset=opset)
