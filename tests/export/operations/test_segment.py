"""Sums, products and extremes of segments."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("operation", [ops.segment_sum, ops.segment_max])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_a_negative_id_is_dropped_and_an_empty_segment_has_the_identity(operation, dtype: str) -> None:
    """Ids in no order."""
    data = (10 * normal(4, 3)).astype(dtype)
    assert_agrees(lambda x, ids: operation(x, ids, num_segments=5), data, np.array([3, -1, 0, 3], "int32"))


def test_an_opset_without_reductions_is_refused() -> None:
    """13: scattering can't add there."""
    with pytest.raises(ConversionFailed, match=r"call site 'segment_sum.*': UnsortedSegmentSum needs opset 16"):
        assert_agrees(
            lambda x, ids: ops.segment_sum(x, ids, num_segments=5), normal(2, 3), np.array([1, 1], "int32"), opset=13
        )
