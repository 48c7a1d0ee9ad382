"""How far an output moves when every call site's result is off by one unit in the last place.

Two implementations of a layer agree to about a unit at the scale that its result ordinarily has. Where a model makes
much of little (it normalises what its gates have all but closed), such units are all that its output is made of, and no
two implementations agree. Keras' own error in one run does not tell: its units fall where they fall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from pipeline.graph.scopes import changed_results

Arrays = Mapping[str, np.ndarray]
Call = Callable[[Any], dict[str, Any]]

# Of a result that is worked out in single precision, whatever the model's own.
UNIT = float(np.finfo(np.float32).eps)


class Noise:
    """A float64 model whose call sites' results are off by a unit, up or down by a seeded draw.

    Args:
        call: the model, from tensors by input name to tensors by output name.
        ordinary: inputs at which each result shows its ordinary scale.
    """

    def __init__(self, call: Call, ordinary: Arrays) -> None:
        self._call = call
        self._scales = self._ordinary_scales(ordinary)
        self._noisy = tf.function(self._with_noise, autograph=False, reduce_retracing=True)

    def answer(self, feed: Arrays) -> dict[str, np.ndarray]:
        """The outputs with noise inside."""
        answers = self._noisy({name: tf.convert_to_tensor(value) for name, value in feed.items()})
        return {name: np.asarray(value) for name, value in answers.items()}

    def _ordinary_scales(self, feed: Arrays) -> list[float]:
        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def traced(inputs: Any) -> list[Any]:
            found: list[Any] = []
            with changed_results(lambda result: _each(result, lambda tensor: _noted(tensor, found))):
                self._call(inputs)
            return found

        found = traced({name: tf.convert_to_tensor(value) for name, value in feed.items()})
        return [float(scale) for scale in found]

    def _with_noise(self, inputs: Any) -> dict[str, Any]:
        numbered = iter(enumerate(self._scales))

        def moved(tensor: Any) -> Any:
            number, scale = next(numbered)
            draw = tf.random.stateless_uniform(tf.shape(tensor), (number, 0), dtype=tf.float64)
            result = tensor + tf.sign(draw - 0.5) * (UNIT * scale if np.isfinite(scale) else 0.0)
            mask = getattr(tensor, "_keras_mask", None)
            if mask is not None:
                result._keras_mask = mask  # what Keras' layers hand on beside a tensor
            return result

        with changed_results(lambda result: _each(result, moved)):
            return self._call(inputs)


def _each(result: Any, change: Callable[[Any], Any]) -> Any:
    """Change every tensor of a result that noise can be put on, always the same ones in the same order."""
    inner = not tf.executing_eagerly() and getattr(tf.compat.v1.get_default_graph(), "outer_graph", None)
    is_inside_loop = inner and getattr(inner, "building_function", False)
    if is_inside_loop:  # a body that is run many times: its tensors are no tensors out here
        return result
    return tree.map_structure(lambda leaf: change(leaf) if _takes_noise(leaf) else leaf, result)


def _takes_noise(leaf: Any) -> bool:
    return isinstance(leaf, tf.Tensor) and leaf.dtype == tf.float64


def _noted(tensor: Any, found: list[Any]) -> Any:
    found.append(tf.reduce_max(tf.abs(tensor)) if tensor.shape.num_elements() != 0 else tf.constant(0.0, tf.float64))
    return tensor
