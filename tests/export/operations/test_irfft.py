"""`IRFFT`."""

from __future__ import annotations

import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("length", [None, 6, 7, 10])
def test_even_and_odd_lengths(length: int | None, opset: int) -> None:
    """As it is, cut and filled up."""
    assert_agrees(lambda x, y: ops.irfft((x, y), fft_length=length), normal(3, 5), -normal(3, 5), opset=opset)


def test_a_transform_and_back() -> None:
    """Is where it came from."""
    assert_agrees(lambda x: ops.irfft(ops.rfft(x)), normal(3, 8))


def test_frames_laid_over_each_other() -> None:
    """`istft`."""
    assert_agrees(lambda x, y: ops.istft((x, y), 32, 10, 32), normal(2, 11, 17), -normal(2, 11, 17), rtol=1e-3)
