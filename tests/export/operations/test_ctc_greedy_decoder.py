"""Greedy decoding."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from pipeline.export.convert import ConversionFailed
from tests.export.operations.agreement import assert_agrees, normal

LENGTHS = np.array([1, 4, 9], "int32")


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("blank", [0, 2, -1])
@pytest.mark.parametrize("merged", [True, False])
def test_blanks_and_repetitions_are_left_out(merged: bool, blank: int, opset: int) -> None:
    """Whichever class the blank is; steps behind a row's length count for nothing."""

    def decode(scores, lengths):
        return ops.ctc_decode(scores, lengths, merge_repeated=merged, mask_index=blank)

    assert_agrees(decode, np.round(normal(3, 9, 4)), LENGTHS, opset=opset)


def test_rows_without_a_class_are_empty() -> None:
    """All blanks."""
    scores = np.zeros((2, 5, 3), "float32")
    scores[..., 1] = 1
    assert_agrees(lambda x, n: ops.ctc_decode(x, n, mask_index=1), scores, np.array([5, 2], "int32"))


def test_beam_search_is_refused() -> None:
    """With the way out."""
    with pytest.raises(ConversionFailed, match=r"call site 'ctc_decode.*decode with strategy='greedy'"):
        assert_agrees(lambda x, n: ops.ctc_decode(x, n, strategy="beam_search"), normal(3, 9, 4), LENGTHS)
