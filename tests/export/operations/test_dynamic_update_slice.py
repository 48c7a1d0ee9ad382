"""`XlaDynamicUpdateSlice`."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("start", [(0, 1, 2), (0, 0, 0), (0, 3, 4)])
def test_a_block_is_put_in(start: tuple[int, ...], opset: int) -> None:
    """One that would hang over is moved back."""
    assert_agrees(lambda x, u: ops.slice_update(x, start, u), normal(3, 4, 5), -normal(3, 2, 2), opset=opset)


def test_where_is_told_when_it_runs() -> None:
    """The start is an input."""
    place = np.array([1, 1, 1], "int32")
    assert_agrees(lambda x, i, u: ops.slice_update(x, (0, i[0], 0), u), normal(3, 4, 5), place, -normal(3, 2, 5))
