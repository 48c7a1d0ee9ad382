"""Normalisation layers traced as ONNX's own operators, which Keras writes out as arithmetic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.export.markers import operator
from pipeline.graph.patching import replaced

_LAYER_NORMALIZATION_SINCE = 17


@contextlib.contextmanager
def native_normalisation(opset: int) -> Iterator[None]:
    """While it lasts, tracing a normalisation layer leaves a marker where ONNX has the operator.

    Written out, their statistics would be computed with at each run, or folded into values that no Keras weight has.
    """
    with contextlib.ExitStack() as stack:
        _replace(stack, layers.BatchNormalization, _batch_normalization)
        if opset >= _LAYER_NORMALIZATION_SINCE:
            _replace(stack, layers.LayerNormalization, _layer_normalization)
        yield


def _replace(stack: contextlib.ExitStack, layer: Any, native: Callable[[Any, Any], Any]) -> None:
    original = layer.call

    def call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        is_float32 = self.compute_dtype == "float32" and inputs.dtype == tf.float32
        answer = native(self, inputs) if is_float32 else None
        return original(self, inputs, *args, **kwargs) if answer is None else answer

    stack.enter_context(replaced(layer, "call", call))


def _batch_normalization(layer: Any, inputs: Any) -> Any:
    """`BatchNormalization` at inference; ONNX wants the channels on axis 1."""
    rank = inputs.shape.rank
    channels = inputs.shape[layer.axis]
    if rank is None or rank < 2 or channels is None:
        return None
    weights = [
        layer.gamma if layer.scale else np.ones(channels, np.float32),
        layer.beta if layer.center else np.zeros(channels, np.float32),
        layer.moving_mean,
        layer.moving_variance,
    ]
    axis = layer.axis % rank
    forward = [0, axis, *(each for each in range(1, rank) if each != axis)]
    is_in_place = forward == list(range(rank))
    turned = inputs if is_in_place else tf.transpose(inputs, forward)
    answer = operator("BatchNormalization", [turned, *map(_tensor, weights)], epsilon=float(layer.epsilon))
    return answer if is_in_place else tf.transpose(answer, list(np.argsort(forward)))


def _layer_normalization(layer: Any, inputs: Any) -> Any:
    """`LayerNormalization` over the last axes; None for other axes and for `rms_scaling`."""
    rank = inputs.shape.rank
    if rank is None:
        return None
    axes = sorted(axis % rank for axis in np.atleast_1d(layer.axis))
    sizes = [inputs.shape[axis] for axis in axes]
    if layer.rms_scaling or axes != list(range(rank - len(axes), rank)) or None in sizes:
        return None
    gamma = layer.gamma if layer.gamma is not None else np.ones(sizes, np.float32)
    beta = [] if layer.beta is None else [_tensor(layer.beta)]
    return operator(
        "LayerNormalization",
        [inputs, _tensor(gamma), *beta],
        axis=-len(axes),
        epsilon=float(layer.epsilon),
    )


def _tensor(value: Any) -> Any:
    return keras.ops.convert_to_tensor(value)
