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
them where float64 has, and layers decide by them; were they off, a mask would be lost and anything be allowed. So do
the values that a `Masking` layer leaves out, and what was cast from integers.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import tree

from pipeline.budget_rule import UNLIKE
from pipeline.graph.scopes import around_calls, changed_gates, changed_results
from pipeline.subsets import MOST_FEATURES
from pipeline.truth.plan import FIRST_DECISION
from pipeline.truth.units import IN_SINGLE, Units, computes_features_alone

Call = Callable[[Any], dict[str, Any]]


class Noise:
    """A float64 model traced so that its call sites' results can be off by a unit, up or down by a seeded draw.

    It is traced once: the exact answer is the one with units of size zero.

    Attributes:
        function: TensorFlow's, from the inputs in their order, the size of a move of each result, 1 where each
            element is off by a unit of its own at least or 0 for the exact answer, and the number of a draw, to the
            outputs by name beside the scale of each result. A result of layers that compute each feature alone has a
            size and a scale for each of its features (the last axis). From `FIRST_DECISION` on a draw moves every
            element by any part of its size, not by all of it.
        units: of each result, or feature of one, relative to its scale.

    Args:
        call: the model, from tensors by input name to tensors by output name.
        inputs: what it takes, by input name.
        exact: names of inputs that are never off: ids that come as floating-point numbers.
        units: how large a unit is, at each call site and on each input.
        kept: values that stay as they are, besides 0.
    """

    def __init__(
        self,
        call: Call,
        inputs: Mapping[str, tf.TensorSpec],
        exact: Collection[str] = (),
        units: Units = IN_SINGLE,
        kept: Collection[float] = (),
    ) -> None:
        self._call = call
        self._names = tuple(inputs)
        self._no_noise_on = frozenset(exact)
        self._unit_of = units
        self._kept = (0.0, *kept)
        self._running = [units.coarsest]  # the unit of the call site that is being traced, innermost last
        self._unit_of_result: list[float] = []
        moves = (tf.TensorSpec([None], tf.float64), tf.TensorSpec([], tf.float64), tf.TensorSpec([], tf.int32))
        traced = tf.function(self._positional, autograph=False)
        self.function = traced.get_concrete_function(*inputs.values(), *moves)
        self.units = np.array(self._unit_of_result, np.float64)

    def _positional(self, *tensors: Any) -> tuple[dict[str, Any], Any]:
        *inputs, sizes, share, draw = tensors
        return self._traced(dict(zip(self._names, inputs, strict=True)), sizes, share, draw)

    def _traced(self, inputs: Any, sizes: Any, share: Any, draw: Any) -> tuple[dict[str, Any], Any]:
        """The answers, and each result's scale.

        Args:
            inputs: tensors by input name.
            sizes: (results,), by how much each result, or feature of one, is off.
            share: 1 where each element is off by a unit of its own at least, 0 for the exact answer.
            draw: of the signs.
        """
        scales: list[Any] = []
        self._unit_of_result.clear()
        off, off_by_feature = (
            tf.function(partial(each, kept=self._kept), **_ONE_FUNCTION).get_concrete_function()
            for each in (_off, _off_by_feature)
        )
        is_any_size = draw >= FIRST_DECISION

        def moved(unit: float, is_by_feature: bool, tensor: Any) -> Any:
            number, begin = len(scales), len(self._unit_of_result)
            self._unit_of_result += [unit] * (tensor.shape[-1] if is_by_feature else 1)
            own_sizes = sizes[begin : len(self._unit_of_result)]
            seed = tf.stack([number, 2 * draw])
            move = off_by_feature if is_by_feature else off
            result, scale = move(tensor, own_sizes, share * unit, seed, is_any_size)
            scales.append(scale)
            result.set_shape(tensor.shape)
            mask = getattr(tensor, "_keras_mask", None)
            if mask is not None:
                result._keras_mask = mask  # what Keras' layers hand on beside a tensor
            return result

        def moved_by(tensor: Any, size: Any, own: Any, number: int) -> Any:
            result, _ = off(tensor, size, own, tf.stack([number, 2 * draw + 1]), is_any_size)
            result.set_shape(tensor.shape)
            return result

        def changed(operation: Any, result: Any) -> Any:
            unit = self._unit_of.at(operation, self._running[-1])
            is_alone = computes_features_alone(operation)
            return _each(result, lambda tensor: moved(unit, is_alone and _has_features(tensor), tensor))

        nothing = tf.zeros([1], tf.float64)
        given = {
            name: moved_by(tensor, nothing, share * self._unit_of.on_input(name), number)
            if self._is_off(name, tensor)
            else tensor
            for number, (name, tensor) in enumerate(inputs.items())
        }
        gates = itertools.count(len(given))

        def moved_gate(tensor: Any) -> Any:
            own = share * self._running[-1]
            return moved_by(tensor, own[None], own, next(gates)) if _takes_noise(tensor) else tensor

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


# How much larger than all else, and than 1, what a mask puts in places that do not count is at least.
_FLOOR = 1e4

# A result of any rank, the size of its move (one, or one for each feature), the size of one relative to an element, the
# two numbers of a seed, and whether a move may be any part of its size.
_OFF = [
    tf.TensorSpec(None, tf.float64),
    tf.TensorSpec([None], tf.float64),
    tf.TensorSpec([], tf.float64),
    tf.TensorSpec([2], tf.int32),
    tf.TensorSpec([], tf.bool),
]
# It is one function that each call site calls, and not inlined: written out at hundreds of them it took most of the
# time of a trace, and TensorFlow had a hundred thousand nodes to look through before the first run.
_ONE_FUNCTION: dict[str, Any] = {
    "autograph": False,
    "input_signature": _OFF,
    "experimental_attributes": {"_noinline": True},
}


def _off(tensor: Any, unit: Any, own: Any, seed: Any, is_any_size: Any, *, kept: tuple[float, ...]) -> tuple[Any, Any]:
    """The tensor as it is and its scale (1,); or, where `own` is not 0, every element off by so much, up or down.

    Kept values stay, and so does what is not finite. The scale of what was moved is not worked out.
    """
    move = _Move(unit, own, seed, is_any_size, kept)
    nothing = tf.zeros([1], tf.float64)
    return _moved_or_exact(tensor, move, nothing, lambda: tf.reduce_max(_sizes(tensor))[None])


def _off_by_feature(
    tensor: Any, unit: Any, own: Any, seed: Any, is_any_size: Any, *, kept: tuple[float, ...]
) -> tuple[Any, Any]:
    """What `_off` gives, with the scale of each feature, (features,).

    That is the largest scale where all are alike, and where a feature is nothing, so that nothing says how far it goes.
    """

    def scales() -> Any:
        flat = tf.reshape(_sizes(tensor), [-1, tf.shape(unit)[0]])
        own_scales = tf.maximum(tf.reduce_max(flat, axis=0), 0.0)  # of no rows the largest is the lowest number
        most = tf.reduce_max(own_scales)
        least = tf.reduce_min(tf.where(own_scales > 0, own_scales, most))
        return tf.where((most > UNLIKE * least) & (own_scales > 0), own_scales, most)

    return _moved_or_exact(tensor, _Move(unit, own, seed, is_any_size, kept), tf.zeros_like(unit), scales)


def _sizes(tensor: Any) -> Any:
    """How large each element is, for the scale of all; nothing where it is not finite, or of the floor of a mask.

    Scores of -1e9 in places that do not count say nothing of how far the others are off: no sum has both in it. They
    are all alike, and far from all that does count.
    """
    nothing = tf.zeros_like(tensor)
    sizes = tf.where(tf.math.is_finite(tensor), tf.abs(tensor), nothing)
    most = tf.maximum(tf.reduce_max(sizes), 0.0)  # of no elements the largest is the lowest number
    is_far = sizes > most / 2
    others = tf.maximum(tf.reduce_max(tf.where(is_far, nothing, sizes)), 1.0)
    least = tf.reduce_min(tf.where(is_far, sizes, most))
    is_floor = (most > _FLOOR * others) & (least > (1 - 1 / _FLOOR) * most)
    return tf.where(is_far & is_floor, nothing, sizes)


class _Move(NamedTuple):
    """How a tensor is moved; tensors all, but for the values that stay."""

    unit: Any
    own: Any
    seed: Any
    is_any_size: Any
    kept: tuple[float, ...]


def _moved_or_exact(tensor: Any, move: _Move, no_scale: Any, scale: Callable[[], Any]) -> tuple[Any, Any]:
    def exact() -> tuple[Any, Any]:
        return tensor, scale()

    def moved() -> tuple[Any, Any]:
        most = tf.maximum(move.unit, move.own * tf.abs(tensor))
        by = tf.cond(move.is_any_size, lambda: _part(most, move.seed), lambda: _up_or_down(most, move.seed))
        moves = tf.math.is_finite(tensor)
        for value in move.kept:
            moves &= tensor != value
        # Selected, not multiplied: a unit of nothing of infinity is no number. One size is a vector of one, which a
        # number alone must not become.
        return tf.reshape(tf.where(moves, tensor + by, tensor), tf.shape(tensor)), no_scale

    moved_tensor, scales = tf.cond(move.own > 0, moved, exact)
    return moved_tensor, scales


def _up_or_down(most: Any, seed: Any) -> Any:
    bits = tf.random.stateless_uniform(tf.shape(most), seed, minval=None, maxval=None, dtype=tf.int32)
    return tf.where(tf.bitwise.bitwise_and(bits, 1) == 0, -most, most)


def _part(most: Any, seed: Any) -> Any:
    return most * tf.random.stateless_uniform(tf.shape(most), seed, minval=-1.0, maxval=1.0, dtype=tf.float64)


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
    features = tensor.shape[-1] if tensor.shape.rank is not None and tensor.shape.rank > 1 else None
    return features is not None and features <= MOST_FEATURES
