"""Activations traced as what runtimes know them by."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from keras import layers

from pipeline.export.markers import operator
from pipeline.graph.patching import replaced


@contextlib.contextmanager
def known_activations() -> Iterator[None]:
    """While it lasts, `PReLU` is traced as ONNX's own, and GELU in the form that onnxruntime puts its own in place of.

    TensorFlow's form of GELU, by the complementary error function, would be computed step by step. ONNX has that
    operator from opset 20 on, past tf2onnx's last.
    """
    original, prelu = tf.nn.gelu, layers.PReLU.call

    def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
        features = tf.convert_to_tensor(features)
        if approximate or features.dtype != tf.float32:
            return original(features, approximate, name)
        return _gelu(features)

    def sloped(self: Any, inputs: Any) -> Any:
        inputs = tf.convert_to_tensor(inputs)
        if inputs.dtype != tf.float32 or self.compute_dtype != "float32":
            return prelu(self, inputs)
        return operator("PRelu", [inputs, tf.convert_to_tensor(self.alpha)])

    with replaced(tf.nn, "gelu", gelu), replaced(layers.PReLU, "call", sloped):
        yield


def _gelu(x: Any) -> Any:
    """`x / 2 * (1 + erf(x / sqrt(2)))`, in markers: TensorFlow's optimiser would put the factors in another order."""
    root, one, half = (tf.constant(value, tf.float32) for value in (math.sqrt(2), 1.0, 0.5))
    error = operator("Erf", [operator("Div", [x, root])])
    return operator("Mul", [operator("Mul", [x, half]), operator("Add", [error, one])])
