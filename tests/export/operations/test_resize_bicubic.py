"""`ResizeBicubic`."""

from __future__ import annotations

import pytest
from keras import layers

from tests.export.operations.agreement import assert_agrees, kinds, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("size", [(13, 27), (5, 4), (8, 1)])
def test_weights_are_those_of_the_table(size: tuple[int, int], opset: int) -> None:
    """Larger, smaller and at ratios that lie between its places."""
    assert_agrees(layers.Resizing(*size, interpolation="bicubic"), normal(2, 8, 9, 3), opset=opset)


def test_twice_the_size_is_one_node_between_two_layouts() -> None:
    """Every pixel lies on a place of the table."""
    proto = assert_agrees(layers.UpSampling2D(2, interpolation="bicubic"), normal(2, 8, 9, 3))
    assert kinds(proto).count("Resize") == 1


def test_free_sizes() -> None:
    """The model computes the weights from the sizes that it meets."""
    assert_agrees(layers.Resizing(13, 20, interpolation="bicubic"), normal(2, 8, 9, 3), free=True)
