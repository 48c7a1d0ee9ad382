"""`CenterCrop` of images whose sizes are free: cut where they are large enough, else resized."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, normal

SIZES = [(4, 3), (9, 8), (10, 7), (2, 7), (7, 2), (2, 2), (1, 1), (3, 9), (4, 2), (3, 3), (50, 2), (37, 41)]


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("crop", [(4, 3), (5, 5), (3, 8)])
def test_images_of_all_sizes_as_keras_crops_them_eagerly(crop: tuple[int, int], layout: str, opset: int) -> None:
    """By one file."""
    layer = layers.CenterCrop(*crop, data_format=layout)
    is_first = layout == "channels_first"
    crop_images = (lambda x: layer(ops.transpose(x, (0, 3, 1, 2)))) if is_first else layer
    proto = assert_agrees(crop_images, normal(2, 9, 8, 3), free=True, opset=opset)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for size in SIZES:
        image = normal(2, *size, 3)
        fed = image.transpose(0, 3, 1, 2) if is_first else image
        np.testing.assert_allclose(session.run(None, {"x0": image})[0], layer(fed), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [2, 7])
def test_one_size_is_free(width: int) -> None:
    """The other smaller or larger than the crop."""
    known = layers.Lambda(lambda x: tf.ensure_shape(x, (None, None, width, 3)), output_shape=(None, width, 3))
    layer = layers.CenterCrop(4, 3)
    proto = assert_agrees(lambda x: layer(known(x)), normal(2, 9, width, 3), free=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for height in (1, 2, 4, 9):
        image = normal(2, height, width, 3)
        np.testing.assert_allclose(session.run(None, {"x0": image})[0], layer(image), rtol=1e-5, atol=1e-5)
