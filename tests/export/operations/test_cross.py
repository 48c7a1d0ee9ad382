"""`Cross`."""

from __future__ import annotations

import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
def test_the_vector_product(opset: int) -> None:
    """Of rows of 3."""
    assert_agrees(ops.cross, normal(4, 3), -normal(5, 3)[1:], opset=opset)
