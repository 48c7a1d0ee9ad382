"""`ResizeBilinear` and `ResizeNearestNeighbor`."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers, ops

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


def test_the_nearest_pixel_where_resize_takes_another() -> None:
    """By one model of free sizes, at every pair of sizes up to 300 of which ONNX's formula says otherwise."""
    resize = lambda x, like: tf.image.resize(x, tf.shape(like)[1:3], method="nearest")  # noqa: E731
    both = lambda x, like: layers.Lambda(lambda pair: resize(*pair), output_shape=(None, None, 1))([x, like])  # noqa: E731
    proto = assert_agrees(both, normal(2, 5, 6, 1), normal(2, 41, 3, 1), free=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    pairs = [(given, wanted) for given in range(1, 301) for wanted in range(1, 301) if _differ(given, wanted)]
    assert len(pairs) == 3499
    for (height, rows), (width, columns) in zip(pairs[::2], pairs[1::2], strict=False):
        image = np.arange(height * width, dtype="float32").reshape(1, height, width, 1)
        like = np.zeros((1, rows, columns, 1), "float32")
        np.testing.assert_array_equal(session.run(None, {"x0": image, "x1": like})[0], resize(image, like))


def _differ(given: int, wanted: int) -> bool:
    centres = np.arange(wanted, dtype=np.float32) + np.float32(0.5)
    by_scale = np.floor(centres / (np.float32(wanted) / np.float32(given)))
    return not np.array_equal(by_scale, np.floor(centres * (np.float32(given) / np.float32(wanted))))


@pytest.mark.parametrize("opset", [13, 18])
def test_pixels_picked_by_few_nodes(opset: int) -> None:
    """To a fixed size their centres are constants."""
    layer = layers.Resizing(41, 9, interpolation="nearest")
    assert len(kinds(assert_agrees(layer, normal(2, 2, 6, 3), free=True, opset=opset))) == 11
    assert kinds(assert_agrees(layer, normal(2, 2, 6, 3), opset=opset)) == ["Gather", "Gather"]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_free_sizes_between_two_layouts(interpolation: str) -> None:
    """Where transposes meet."""
    options = {"interpolation": interpolation, "data_format": "channels_first"}
    resize = lambda x: ops.image.resize(ops.transpose(x, (0, 3, 1, 2)), (7, 4), **options)  # noqa: E731
    assert_agrees(resize, normal(2, 5, 6, 3), free=True)


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


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize("size", [(9, 5), (4, 13), (12, 3)])
def test_pixels_half_way_between_two_integers_come_to_the_same_side(size, dtype: str, opset: int) -> None:
    """Of 3,840 pixels some fifty: TensorFlow's arithmetic in its order, to the last bit."""
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 8, 5)).astype(dtype)
    assert_agrees(lambda x: ops.image.resize(x, size), images, opset=opset, rtol=0)
