"""`Log`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees


@pytest.mark.parametrize("opset", [13, 18])
def test_a_double_keeps_its_digits(opset: int) -> None:
    """1 + 1e-10 has a logarithm of 1e-10."""
    assert_agrees(lambda x: ops.log(x) * 1e10, np.array([[1 + 1e-10, 2.0, 0.0]]), opset=opset)


def test_a_half_has_a_logarithm() -> None:
    """As in a model of mixed precision."""
    assert_agrees(ops.log, np.array([[0.5, 2.0, 0.0, -1.0]], "float16"), rtol=1e-3)
