"""Mends `CenterCrop` of images whose height or width is free.

Keras 3.15 resizes an image that is smaller than the crop, but only if it knows the sizes while it traces
(`keras/src/layers/preprocessing/image_preprocessing/center_crop.py`): a traced function with a free axis, `predict()`
too once it has met two sizes, cuts such an image to one row. It can go when Keras compares sizes that are tensors: a
test says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from keras import layers, ops

from pipeline.graph.patching import replaced


@contextlib.contextmanager
def mended_center_crop() -> Iterator[None]:
    """While it lasts, `CenterCrop` gives images of its size, as Keras does eagerly."""
    original = layers.CenterCrop.transform_images

    def transform_images(self: Any, images: Any, transformation: Any = None, training: bool = True) -> Any:
        first = len(images.shape) - (3 if self.data_format == "channels_last" else 2)
        if first < 0 or None not in images.shape[first : first + 2]:
            return original(self, images, transformation, training=training)
        cut = _cut(ops.cast(images, self.compute_dtype), first, (self.height, self.width))
        resized = ops.image.resize(cut, (self.height, self.width), data_format=self.data_format)
        return ops.cast(resized, self.compute_dtype)

    with replaced(layers.CenterCrop, "transform_images", transform_images):
        yield


def _cut(images: Any, first: int, wanted: tuple[int, int]) -> Any:
    """The middle of the images: of the size wanted (height, width) or, where one is smaller, the largest of its form.

    `Resize` leaves the first as they are.
    """
    size = ops.stack(ops.shape(images)[first : first + 2])
    target, across = (ops.array(each, "int32") for each in (wanted, wanted[::-1]))
    largest = ops.clip(ops.floor_divide(ops.flip(size) * target, across), 1, size)
    extent = ops.where(ops.min(size - target) >= 0, target, largest)
    start = ops.floor_divide(size - extent, 2)
    others = [(first, len(images.shape) - first - 2)]
    return ops.slice(images, ops.pad(start, others), ops.pad(extent, others, constant_values=-1))
