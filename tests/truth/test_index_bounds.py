"""Which integers a graph admits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.truth.index_bounds import Integers, index_bounds
from pipeline.truth.signature import read_signature
from pipeline.truth.sized_graph import SizedGraph
from tests.truth.traced_graphs import graph_of

FREE = 3  # of free axes here


def bounds(model: keras.Model) -> dict[str, Integers]:
    """What a model's inputs may be, read with one row."""
    signature = read_signature(model)
    free = {axis: FREE for spec in signature.inputs for axis in spec.shape if isinstance(axis, str)}
    sized = graph_of(model).at(free, 1)
    assert isinstance(sized, SizedGraph)
    return index_bounds(sized)


def of_ids(call: Callable[[Any], Any], dtype: str = "int32") -> Integers:
    """What is admitted by a call on four integers, beside which a feature is doubled."""
    ids = keras.Input((4,), dtype=dtype, name="ids")
    return bounds(keras.Model(ids, call(ids))).get("ids", Integers())


class OwnTable(layers.Layer):
    """A layer that looks up in a table of its own."""

    def build(self, shape):
        """Five rows."""
        self.rows = self.add_weight(shape=(5, 2))

    def call(self, ids):
        """A row for each id."""
        return ops.take(self.rows, ids, axis=0)


class FromTheEnd(OwnTable):
    """Counts negative ids from the end, in its own words."""

    def call(self, ids):
        """A row for each id."""
        same = ops.reshape(ids, (-1, 4))
        return ops.take(self.rows, ops.where(ids < 0, ids + 5, same), axis=0)


class Compiled(OwnTable):
    """Looks up in a function that it compiles by itself."""

    def build(self, shape):
        """Five rows."""
        super().build(shape)
        self.look_up = tf.function(lambda ids: tf.gather(self.rows, ids))

    def call(self, ids):
        """A row for each id."""
        return self.look_up(ids)

    def compute_output_spec(self, ids):
        """Two features."""
        return keras.KerasTensor((*ids.shape, 2), "float32")


TABLE = np.zeros((7, 2), np.float32)

LOOK_UPS = {
    "a layer's own table": (lambda ids: OwnTable()(ids), 5),
    "counted from the end": (lambda ids: FromTheEnd()(ids), 5),
    "inside a function": (lambda ids: Compiled()(ids), 5),
    "a constant": (lambda ids: ops.take(ops.convert_to_tensor(TABLE), ids, axis=0), 7),
    "a constant's last axis": (lambda ids: ops.take(ops.convert_to_tensor(TABLE), ids, axis=-1), 2),
    "an embedding inside a wrapper": (
        lambda ids: layers.TimeDistributed(layers.Embedding(6, 2))(ops.reshape(ids, (-1, 2, 2))),
        6,
    ),
    "the smaller of two tables": (lambda ids: layers.Embedding(9, 2)(ids) * layers.Embedding(4, 2)(ids), 4),
    "one-hot": (lambda ids: ops.one_hot(ids, 6), 6),
    "reshaped, cast and sliced": (
        lambda ids: layers.Embedding(8, 2)(ops.cast(ops.reshape(ids, (-1, 2, 2))[:, 1], "int64")),
        8,
    ),
    "joined": (lambda ids: layers.Embedding(8, 2)(ops.concatenate([ids, ids], axis=1)), 8),
    "moved up by two": (lambda ids: layers.Embedding(8, 2)(ids + 2), 6),
    "twice": (lambda ids: layers.Embedding(9, 2)(ids * 2), 5),
    "three apart in a flat table": (lambda ids: layers.Embedding(20, 2)(ids + ops.arange(4) * 5), 5),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_integers_that_index_something_are_bounded_by_its_rows(name) -> None:
    """Whatever is looked up in, and whatever is done to the ids before."""
    call, below = LOOK_UPS[name]
    assert of_ids(call).ids_below == below


def test_ids_that_are_moved_down_begin_above_zero() -> None:
    """One less than the first is no row."""
    assert of_ids(lambda ids: layers.Embedding(8, 2)(ids - 1)) == Integers(9, 1)


def test_a_floating_point_input_that_is_cast_to_ids_is_bounded() -> None:
    """Keras' inputs are of float32 where nothing else is said."""
    assert of_ids(lambda ids: OwnTable()(ops.cast(ids, "int32")), "float32") == Integers(5)
    assert of_ids(lambda x: layers.Dense(2)(x), "float32") == Integers()


@pytest.mark.parametrize(
    "call",
    [
        lambda ids: layers.Embedding(8, 2)(ops.clip(ids, 0, 7)),
        lambda ids: layers.Embedding(8, 2)(ops.minimum(ids, 7)),
        lambda ids: layers.Embedding(8, 2)(ops.mod(ids, 8)),
        lambda ids: ops.cast(ids, "float32") * 2.5,
    ],
)
def test_integers_that_the_model_bounds_itself_are_free(call) -> None:
    """Clipped, taken modulo, or numbers like others."""
    assert of_ids(call) == Integers()


@pytest.mark.parametrize("size", [6, None])
def test_positions_among_steps_are_bounded_by_the_steps(size) -> None:
    """By as many as are there; of a free axis by the fewest."""
    x, at = keras.Input((size, 2), name="x"), keras.Input((2,), dtype="int32", name="at")
    found = bounds(keras.Model([x, at], ops.take_along_axis(x, ops.expand_dims(at, -1), axis=1)))
    assert found["at"] == Integers(size or FREE)


def test_segment_ids_are_bounded_by_the_number_of_segments() -> None:
    """A sum over four segments."""
    x, of = keras.Input(batch_shape=(8, 2), name="x"), keras.Input(batch_shape=(8,), dtype="int32", name="of")
    assert bounds(keras.Model([x, of], ops.segment_sum(x, of, num_segments=4)))["of"] == Integers(4)


@pytest.mark.parametrize(
    ("divide", "least"),
    [
        (lambda x, n: ops.mod(x, n), 1),
        (lambda x, n: ops.floor_divide(x, n), 1),
        (lambda x, n: x / ops.cast(n, "float32"), 1),
        (lambda x, n: ops.mod(x, n - 2), 3),
        (lambda x, n: ops.mod(x, n + 1), 0),
        (lambda x, n: ops.mod(x, ops.maximum(n, 1)), 0),
        (lambda x, n: ops.mod(n, x + 1), 0),
    ],
)
def test_divisors_are_never_zero(divide, least) -> None:
    """Unless the model sees to that itself."""
    x, n = (keras.Input((4,), dtype="int32", name=name) for name in "xn")
    assert bounds(keras.Model([x, n], divide(x, n))).get("n", Integers()).ids_from == least


@pytest.mark.parametrize(
    "use",
    [
        lambda mask: ops.cast(ops.cast(mask, "bool"), "float32"),
        lambda mask: ops.where(ops.not_equal(mask, 0), 1.0, -1e9),
        lambda mask: (1.0 - ops.cast(mask, "float32")) * -1e9,
        lambda mask: ops.cast(mask[:, None, :] > 0, "float32"),
    ],
)
def test_integers_that_are_only_a_mask_are_0_and_1(use) -> None:
    """In the words in which models write it."""
    assert of_ids(use) == Integers(2)


@pytest.mark.parametrize(
    "use",
    [
        lambda counts: ops.cast(counts, "float32") * 0.5,
        lambda counts: ops.cast(counts > 3, "float32"),
        lambda counts: ops.cast(counts > 0, "float32") + ops.cast(counts, "float32"),
    ],
)
def test_integers_that_are_more_than_a_mask_are_free(use) -> None:
    """Numbers that count, thresholds above 1."""
    assert of_ids(use) == Integers()


def of_a_table(call: Callable[[Any], Any]) -> Integers:
    """What is admitted by a call on a row of six numbers."""
    row = keras.Input((6,), name="row")
    return bounds(keras.Model(row, call(row))).get("row", Integers())


def test_columns_that_are_looked_up_are_ids_and_the_others_are_numbers() -> None:
    """A table of categories and measurements in one vector."""

    def own(row: Any) -> Any:
        first, second = layers.Embedding(5, 3)(row[:, 0]), layers.Embedding(9, 3)(row[:, 2])
        return layers.Concatenate()([first, second, layers.Dense(4)(row[:, 3:])])

    def split(row: Any) -> Any:
        ids, numbers = ops.split(row, [2], axis=-1)
        return ops.sum(layers.Embedding(7, 4)(ids), 1) + layers.Dense(4)(numbers)

    def every_way(row: Any) -> Any:
        wide = tf.transpose(tf.squeeze(tf.expand_dims(tf.identity(row), 1), [1]))
        by_slice, first = tf.slice(row, [0, 0], [-1, 1])[:, 0], tf.unstack(row, axis=1)[1]
        gathered, halves = tf.gather(tf.reshape(row, (-1, 6)), [2], axis=1)[:, 0], tf.split(row, 2, axis=1)
        ids = tf.stack([by_slice, first, gathered, wide[4], halves[1][:, 2]], 1)
        return tf.cast(ids, tf.int32)

    assert of_a_table(lambda row: layers.Embedding(7, 4)(layers.Lambda(every_way)(row))) == Integers(
        7, ids_at=(0, 1, 2, 4, 5)
    )
    assert of_a_table(own) == Integers(5, ids_at=(0, 2))
    assert of_a_table(split) == Integers(7, ids_at=(0, 1))


def test_numbers_that_are_looked_up_and_multiplied_lie_between_ids_too() -> None:
    """As brightness does that is binned."""
    both = of_a_table(lambda row: layers.Embedding(5, 4)(ops.cast(row, "int32"))[:, 0] + layers.Dense(4)(row))
    assert both == Integers(5, between=True)
    assert of_a_table(lambda row: layers.Embedding(256, 4)(ops.cast(row * 255, "int32"))) == Integers(2, between=True)
    assert of_a_table(lambda row: layers.Embedding(5, 4)(row)) == Integers(5)
