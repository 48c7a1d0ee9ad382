"""How far an output moves when every call site's result is off by one unit in the last place.

A unit is one of the precision that the model itself computes in there (`units`): what stands for an artifact that sums
in another order must not stand for one that computes a float64 model in single precision.

Two implementations of a layer agree to about a unit at the scale that its result ordinarily has. Where a model makes
much of little (it normalises what its gates have all but closed), such units are all that its output is made of, and no
two implementations agree. Keras' own error in one run does not tell: its units fall where they fall.

What a layer works out inside (the gates of a recurrent one) is no call site's result, and may be larger than any. An
order of summation there is worth as much as a unit of each element that it sums: so the inputs are off too, each
element by a unit of its own, and so is a result by no less.

A gate is worked out to a unit at 1, where it opens, however far it is closed (onnxruntime's sigmoid is): so are gates
here, inside recurrent layers too, where a closed one may stand before a large state.

Exact zeros stay: they are padding, what a ReLU or a gate has closed, a row that does not count. Every precision has
them where float64 has, and layers decide by them; were they off, a mask would be lost and anything be allowed.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from pipeline.budget_rule import UNLIKE
from pipeline.graph.scopes import around_calls, changed_gates, changed_results
from pipeline.subsets import MOST_FEATURES
from pipeline.truth.units import IN_SINGLE, Units, computes_features_alone

Arrays = Mapping[str, np.ndarray]
Call = Callable[[Any], dict[str, Any]]

# Where the terms of a sum cancel, noise of like signs cancels too: one draw of signs may show nothing.
DRAWS = 4
# A decision between two numbers that noise makes equal falls this or that way in half of the draws: so many leave one
# element in some thousands untold. They are as large as the units that an artifact is allowed besides Keras' own error
# (`budget_rule.ULPS`), and of any size below: signs alone move both numbers alike every other time.
DECISION_DRAWS = 12
DECISION_UNITS = 4.0


class Noise:
    """A float64 model whose call sites' results can be off by a unit, up or down by a seeded draw.

    It is traced once: the exact answer is the one with units of size zero.

    Args:
        call: the model, from tensors by input name to tensors by output name.
        inputs: what it takes, by input name.
        ordinary: inputs at which each result shows its ordinary scale.
        exact: names of inputs that are never off: ids that come as floating-point numbers.
        units: how large a unit is, at each call site and on each input.
    """

    def __init__(
        self,
        call: Call,
        inputs: Mapping[str, tf.TensorSpec],
        ordinary: Arrays,
        exact: Collection[str] = (),
        units: Units = IN_SINGLE,
    ) -> None:
        self._call = call
        self._no_noise_on = frozenset(exact)
        self._unit_of = units
        self._running = [units.coarsest]  # the unit of the call site that is being traced, innermost last
        self._unit_of_result: list[float] = []
        sizes = tf.TensorSpec([None], tf.float64)
        scalars = [tf.TensorSpec([], dtype) for dtype in (tf.float64, tf.int32, tf.bool)]
        signature = [dict(inputs), sizes, *scalars]
        traced = tf.function(self._traced, autograph=False, input_signature=signature)
        self._function = traced.get_concrete_function()
        self.graph = self._function.graph
        self._none = np.zeros(len(self._unit_of_result))
        self.measure(ordinary)

    def measure(self, ordinary: Arrays) -> None:
        """Take each result's ordinary scale at these inputs, with the weights as they are now."""
        scales = np.asarray(self._run(ordinary, self._none, 0.0)[1])
        self._units = np.array(self._unit_of_result) * np.where(np.isfinite(scales), scales, 0.0)

    def exact(self, feed: Arrays) -> dict[str, np.ndarray]:
        """The outputs without noise."""
        return self._run(feed, self._none, 0.0)[0]

    def answers(self, feed: Arrays) -> tuple[dict[str, np.ndarray], ...]:
        """The outputs with noise inside, of several draws."""
        return tuple(self._run(feed, self._units, 1.0, draw)[0] for draw in range(DRAWS))

    def decisions(self, feed: Arrays) -> tuple[dict[str, np.ndarray], ...]:
        """The outputs with noise of any size up to some units, of more draws: what they differ in is not decided."""
        sizes = DECISION_UNITS * self._units
        draws = range(DRAWS, DRAWS + DECISION_DRAWS)
        return tuple(self._run(feed, sizes, DECISION_UNITS, draw, is_any_size=True)[0] for draw in draws)

    def _run(
        self, feed: Arrays, sizes: np.ndarray, share: float, draw: int = 0, *, is_any_size: bool = False
    ) -> tuple[dict[str, np.ndarray], Any]:
        tensors = {name: tf.convert_to_tensor(value) for name, value in feed.items()}
        noise = tf.convert_to_tensor(sizes), tf.constant(share, tf.float64)
        answers, scales = self._function(tensors, *noise, tf.constant(draw), tf.constant(is_any_size))
        return {name: np.asarray(value) for name, value in answers.items()}, scales

    def _traced(self, inputs: Any, sizes: Any, share: Any, draw: Any, is_any_size: Any) -> tuple[dict[str, Any], Any]:
        """The answers, and each result's scale.

        Args:
            inputs: tensors by input name.
            sizes: (results,), by how much each result is off.
            share: 1 where each element is off by a unit of its own at least, 0 for the exact answer.
            draw: of the signs.
            is_any_size: whether each element is off by any part of its noise, not by all of it.
        """
        scales: list[Any] = []
        self._unit_of_result.clear()

        def off(tensor: Any, by: Any, seed: tuple[int, Any]) -> Any:
            return _off(tensor, by, seed, is_any_size)

        def moved(unit: float, is_by_feature: bool, tensor: Any) -> Any:
            number, begin = len(scales), len(self._unit_of_result)
            scales.append(_scales(tensor) if is_by_feature else _scale(tensor)[None])
            self._unit_of_result += [unit] * scales[-1].shape[0]
            by = sizes[begin : len(self._unit_of_result)]
            own = share * unit * tf.abs(tensor)
            result = off(tensor, tf.maximum(by if is_by_feature else by[0], own), (number, 2 * draw))
            mask = getattr(tensor, "_keras_mask", None)
            if mask is not None:
                result._keras_mask = mask  # what Keras' layers hand on beside a tensor
            return result

        def changed(operation: Any, result: Any) -> Any:
            unit = self._unit_of.at(operation, self._running[-1])
            is_alone = computes_features_alone(operation)
            return _each(result, lambda tensor: moved(unit, is_alone and _has_features(tensor), tensor))

        given = {
            name: off(tensor, share * self._unit_of.on_input(name) * tf.abs(tensor), (number, 2 * draw + 1))
            if self._is_off(name, tensor)
            else tensor
            for number, (name, tensor) in enumerate(inputs.items())
        }
        gates = itertools.count(len(given))

        def moved_gate(tensor: Any) -> Any:
            by = share * self._running[-1]
            return off(tensor, by, (next(gates), 2 * draw + 1)) if _takes_noise(tensor) else tensor

        with around_calls(self._running_in), changed_results(changed), changed_gates(moved_gate):
            answers = self._call(given)
        return answers, tf.concat(scales, 0) if scales else tf.zeros([0], tf.float64)

    @contextlib.contextmanager
    def _running_in(self, operation: Any) -> Iterator[None]:
        self._running.append(self._unit_of.at(operation, self._running[-1]))
        try:
            yield
        finally:
            self._running.pop()

    def _is_off(self, name: str, tensor: Any) -> bool:
        return name not in self._no_noise_on and _takes_noise(tensor)


def _off(tensor: Any, by: Any, seed: tuple[int, Any], is_any_size: Any) -> Any:
    """Every element by so much, or by any part of that, up or down, but for exact zeros and what is not finite."""
    draw = 2.0 * tf.random.stateless_uniform(tf.shape(tensor), seed, dtype=tf.float64) - 1.0
    moves = tf.math.is_finite(tensor) & (tensor != 0)
    # Selected, not multiplied: a unit of nothing of infinity is no number.
    return tf.where(moves, tensor + tf.where(is_any_size, draw, tf.sign(draw)) * by, tensor)


def _each(result: Any, change: Callable[[Any], Any]) -> Any:
    """Change every tensor of a result that noise can be put on, always the same ones in the same order."""
    inner = not tf.executing_eagerly() and getattr(tf.compat.v1.get_default_graph(), "outer_graph", None)
    is_inside_loop = inner and getattr(inner, "building_function", False)
    if is_inside_loop:  # a body that is run many times: its tensors are no tensors out here
        return result
    return tree.map_structure(lambda leaf: change(leaf) if _takes_noise(leaf) else leaf, result)


def _takes_noise(leaf: Any) -> bool:
    return isinstance(leaf, tf.Tensor) and leaf.dtype == tf.float64


def _has_features(tensor: Any) -> bool:
    """Whether a result's last axis is one of features, few enough to have a scale each."""
    return (
        tensor.shape.rank is not None
        and tensor.shape.rank > 1
        and (tensor.shape[-1] or MOST_FEATURES + 1) <= MOST_FEATURES
    )


def _scales(tensor: Any) -> Any:
    """The scale of each feature; the largest for all, where they are alike, or nothing says how far a feature goes."""
    features = tensor.shape[-1]
    flat = tf.reshape(tf.abs(tensor), [-1, features])
    # An empty batch has no largest element but the lowest number there is.
    own = tf.maximum(tf.reduce_max(flat, axis=0), 0.0)
    most = tf.reduce_max(own)
    least = tf.reduce_min(tf.where(own > 0, own, most))
    return tf.where((most > UNLIKE * least) & (own > 0), own, most)


def _scale(tensor: Any) -> Any:
    return tf.reduce_max(tf.abs(tensor)) if tensor.shape.num_elements() != 0 else tf.constant(0.0, tf.float64)
