"""`BiasAdd`."""

from __future__ import annotations

from keras import layers

from tests.export.operations.agreement import assert_agrees, normal


def test_a_bias_behind_a_first_channel_axis() -> None:
    """After a depthwise convolution, where tf2onnx sees no constant."""
    assert_agrees(layers.DepthwiseConv2D(3, data_format="channels_first"), normal(2, 4, 5, 6), rtol=1e-4)
