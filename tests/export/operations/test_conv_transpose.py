"""Transposed convolutions."""

from __future__ import annotations

import pytest
from keras import layers

from tests.export.operations.agreement import assert_agrees, kinds, normal

SHAPES = {1: (2, 5, 4), 2: (2, 5, 6, 4), 3: (2, 3, 4, 5, 4)}
LAYERS = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "strides": 2, "output_padding": 1},
        {"kernel_size": 2, "strides": 3},
        {"kernel_size": 3, "dilation_rate": 2},
    ],
)
def test_strides_dilations_and_rows_that_no_kernel_reaches(axes: int, padding: str, geometry: dict) -> None:
    """In one to three dimensions."""
    assert_agrees(LAYERS[axes](3, padding=padding, **geometry), normal(*SHAPES[axes]), rtol=1e-4)


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_free_sizes(padding: str, opset: int) -> None:
    """The bias reaches the rows that no kernel does."""
    layer = layers.Conv2DTranspose(3, 2, strides=3, padding=padding)
    assert_agrees(layer, normal(2, 5, 6, 4), free=True, opset=opset, rtol=1e-4)


def test_channels_first() -> None:
    """Without a transpose of the images."""
    proto = assert_agrees(layers.Conv2DTranspose(3, 3, data_format="channels_first"), normal(2, 4, 5, 6), rtol=1e-4)
    assert "Transpose" not in kinds(proto)
