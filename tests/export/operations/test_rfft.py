"""`RFFT`."""

from __future__ import annotations

import pytest
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("length", [None, 6, 12])
def test_as_it_is_cut_and_filled_up(length: int | None, opset: int) -> None:
    """Of 8 and of 7 points."""
    assert_agrees(lambda x: ops.rfft(x, fft_length=length), normal(3, 8), opset=opset)
    assert_agrees(lambda x: ops.rfft(x, fft_length=length), normal(3, 7), opset=opset)


@pytest.mark.parametrize("mode", ["magnitude", "angle", "stft"])
def test_a_spectrogram_layer(mode: str) -> None:
    """Windows of 20 in frames of 32."""
    layer = layers.STFTSpectrogram(mode=mode, frame_length=20, frame_step=7, fft_length=32)
    assert_agrees(layer, normal(2, 100, 1), rtol=1e-3)


def test_no_matrix_is_stored() -> None:
    """The model counts the cosines out itself."""
    proto = assert_agrees(ops.rfft, normal(2, 400))
    assert proto.ByteSize() < 10_000


def test_a_mel_spectrogram_of_any_length() -> None:
    """The time axis is free."""
    layer = layers.MelSpectrogram(num_mel_bins=8, sampling_rate=800, sequence_stride=16, fft_length=64)
    assert_agrees(layer, normal(2, 200), rtol=1e-3)
