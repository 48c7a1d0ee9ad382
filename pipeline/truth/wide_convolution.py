"""Convolutions in groups without XLA, whose code for them in float64 takes a hundred times as long as it has to.

Keras has XLA compile a convolution in groups, because TensorFlow's own kernel has none on a CPU
(`keras/src/backend/tensorflow/nn.py`, `conv`). A ConvNeXt is made of them. In groups of one channel it is a depthwise
convolution, and otherwise one convolution a group: the sums are the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend

from pipeline.graph.patching import replaced

_MOST_DEPTHWISE = 4  # axes of what TensorFlow's depthwise convolution takes: (batch, rows, columns, channels)


@contextlib.contextmanager
def convolving_in_groups() -> Iterator[None]:
    """While it lasts, Keras convolves groups of channels by TensorFlow's own kernels, in this thread."""
    original = backend.nn.conv

    def conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        inputs, kernel = tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel)
        options = (_plain(strides), padding, data_format, _plain(dilation_rate))
        layout = data_format or keras.config.image_data_format()
        channels, of_group = inputs.shape[-1], kernel.shape[-2]
        # A CPU has kernels for channels that come last; the others are XLA's in groups or not.
        if layout != "channels_last" or channels is None or channels == of_group:
            return original(inputs, kernel, *options)
        if of_group == 1 and len(inputs.shape) <= _MOST_DEPTHWISE:
            by_channel = tf.reshape(kernel, (*kernel.shape[:-2], channels, kernel.shape[-1] // channels))
            return backend.nn.depthwise_conv(inputs, by_channel, *options)
        groups = channels // of_group
        pairs = zip(tf.split(inputs, groups, -1), tf.split(kernel, groups, -1), strict=True)
        return tf.concat([original(part, own, *options) for part, own in pairs], -1)

    with replaced(backend.nn, "conv", conv):
        yield


def _plain(sizes: Any) -> Any:
    """A number, or a tuple of them: what Keras' own calls pass is a list, which its depthwise convolution refuses."""
    return sizes if isinstance(sizes, int) else tuple(sizes)
