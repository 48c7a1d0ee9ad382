"""`ResizeBilinear` and `ResizeNearestNeighbor`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.export.operations.agreement import assert_agrees, kinds, normal


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(7, 5), (14, 9), (3, 12), (41, 1)])
def test_sizes_are_the_sizes_asked_for(size: tuple[int, int], interpolation: str, opset: int) -> None:
    """The checker infers them too: from scales of float32 it would infer 6 rows of 7, and refuse the file."""
    for images in (normal(2, 5, 6, 3), normal(2, 2, 7, 3)):
        proto = assert_agrees(layers.Resizing(*size, interpolation=interpolation), images, opset=opset)
        assert [dim.dim_value for dim in proto.graph.output[0].type.tensor_type.shape.dim][1:] == [*size, 3]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Resizing(41, 9),
        layers.Resizing(41, 9, interpolation="nearest"),
        layers.UpSampling2D((2, 3)),
        layers.Lambda(lambda x: tf.image.resize(x, tf.shape(x)[1:3] * 2, method="nearest")),
    ],
)
def test_free_sizes(layer: layers.Layer) -> None:
    """To fixed sizes, and to multiples."""
    assert_agrees(layer, normal(2, 2, 6, 3), free=True)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float64"])
def test_labels_of_any_dtype(dtype: str) -> None:
    """onnxruntime resizes four of them."""
    labels = np.arange(60).reshape(2, 5, 6, 1).astype(dtype)
    assert_agrees(layers.Lambda(lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (7, 4))), labels)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("is_aligned", [False, True])
def test_corners_as_tensorflow_1_counted_them(method: str, is_aligned: bool) -> None:
    """Pixels are counted from their corners, aligned or not."""
    resize = lambda x: tf.compat.v1.image.resize(x, (7, 9), method=method, align_corners=is_aligned)  # noqa: E731
    assert_agrees(layers.Lambda(resize), normal(2, 5, 6, 3))


def test_one_node_between_two_layouts() -> None:
    """Sizes are constants."""
    proto = assert_agrees(layers.Resizing(7, 5), normal(2, 5, 6, 3))
    assert kinds(proto) == ["Transpose", "Resize", "Transpose"]
