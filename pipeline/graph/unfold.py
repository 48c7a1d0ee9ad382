"""Mends `ops.unfold` of a batch whose size is free.

Keras 3.15 reshapes patches to the sizes that it knows while it traces (`keras/src/backend/tensorflow/nn.py`, `unfold`),
of which the batch is None: no traced function with a free batch, and no `predict()`, runs it. It can go when Keras
reads the batch off the tensor: a test says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from keras import ops
from keras.src import backend

from pipeline.graph.patching import replaced

Pair = int | tuple[int, int]


@contextlib.contextmanager
def mended_unfold() -> Iterator[None]:
    """While it lasts, `unfold` takes a free batch."""
    original = backend.nn.unfold

    def unfold(x: Any, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Any:
        if x.shape[0] is not None:
            return original(x, kernel_size, dilation, padding, stride)
        return _patches(x, *(_pair(each) for each in (kernel_size, dilation, padding, stride)))

    with replaced(backend.nn, "unfold", unfold):
        yield


def _patches(
    x: Any, kernel: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, int], stride: tuple[int, int]
) -> Any:
    """The patches of `(batch, channels, height, width)` as `(batch, channels * kernel, places)`."""
    padded = ops.pad(x, [(0, 0), (0, 0), *((size, size) for size in padding)])
    channels, height, width = padded.shape[1:]
    rows, columns = (
        [slice(k * d, k * d + size - d * (count - 1), s) for k in range(count)]
        for count, d, size, s in zip(kernel, dilation, (height, width), stride, strict=True)
    )
    by_place = ops.stack([padded[:, :, row, column] for row in rows for column in columns], axis=2)
    places = by_place.shape[3] * by_place.shape[4]
    return ops.reshape(by_place, (-1, channels * kernel[0] * kernel[1], places))


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
