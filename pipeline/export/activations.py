"""Activations traced as the arithmetic that runtimes know them by."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from pipeline.export.markers import operator
from pipeline.graph.patching import replaced


@contextlib.contextmanager
def known_activations() -> Iterator[None]:
    """While it lasts, GELU is traced in the form that onnxruntime looks for, to put its own operator there on loading.

    TensorFlow's form, by the complementary error function, would be computed step by step. ONNX has the operator itself
    from opset 20 on, past tf2onnx's last.
    """
    original = tf.nn.gelu

    def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
        features = tf.convert_to_tensor(features)
        if approximate or features.dtype != tf.float32:
            return original(features, approximate, name)
        return _gelu(features)

    with replaced(tf.nn, "gelu", gelu):
        yield


def _gelu(x: Any) -> Any:
    """`x / 2 * (1 + erf(x / sqrt(2)))`, in markers: TensorFlow's optimiser would put the factors in another order."""
    root, one, half = (tf.constant(value, tf.float32) for value in (math.sqrt(2), 1.0, 0.5))
    error = operator("Erf", [operator("Div", [x, root])])
    return operator("Mul", [operator("Mul", [x, half]), operator("Add", [error, one])])
