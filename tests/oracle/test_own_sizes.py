"""Outputs of which Keras tells a wrong shape, and outputs whose size the numbers fed decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.oracle.freeze import freeze
from pipeline.oracle.own_sizes import refuse_own_sizes
from pipeline.records import InputSpec, Signature, TensorSpec
from tests.sampling import sampled


def model_of(function: Callable[..., Any], **options: Any) -> keras.Model:
    """A model of one input called `x`."""
    x = keras.Input(name="x", **options)
    return keras.Model(x, function(x))


@pytest.mark.parametrize("pool", sampled([ops.adaptive_average_pool, ops.adaptive_max_pool], 2))
def test_an_output_has_the_rank_that_tensorflow_gives_it(pool, tmp_path) -> None:
    """Keras counts an axis too many; the batch is told from an axis twice as long."""
    truth = freeze(
        model_of(lambda x: pool(x, (3, 4), data_format="channels_last"), shape=(8, 6, 2)), tmp_path, effort="quick"
    )
    assert truth.signature.outputs[0].shape == ("batch", 3, 4, 2)

    def twice(x):
        pooled = pool(x, (3, 4), data_format="channels_last")
        return ops.concatenate([pooled, pooled], axis=0)

    doubled = freeze(model_of(twice, shape=(8, 6, 2)), tmp_path, effort="quick")
    assert doubled.signature.outputs[0].shape == (f"{doubled.signature.outputs[0].name}_axis0", 3, 4, 2)


@pytest.mark.parametrize("function", [lambda x: ops.where(x > 0), lambda x: ops.nonzero(x > 0)[0], ops.unique])
def test_a_size_that_numbers_decide_is_refused(function, tmp_path) -> None:
    """By the output's name, with the way out."""
    with pytest.raises(
        BadInput, match=r"^output '(where|nonzero|unique).*at call site.*the numbers fed decide.*a mask"
    ):
        freeze(model_of(function, batch_shape=(6,), dtype="float32"), tmp_path, effort="quick")


def test_sizes_that_follow_from_the_inputs_pass() -> None:
    """Free axes, fixed ones, and one that is nobody's."""
    signature = Signature(
        inputs=(InputSpec(name="x", shape=("batch", "time", 2), dtype="float32"),),
        outputs=(TensorSpec(name="y", shape=("batch", "time", 3, "own"), dtype="float32"),),
    )
    feed = {"x": np.zeros((4, 5, 2), "float32")}
    refuse_own_sizes(signature, feed, {"y": np.zeros((4, 5, 3, 9))})
    for shape in ((4, 6, 3, 9), (5, 5, 3, 9), (4, 5, 2, 9), (4, 5, 3)):
        with pytest.raises(BadInput, match="output 'y' has shape"):
            refuse_own_sizes(signature, feed, {"y": np.zeros(shape)})


def test_what_needs_fixed_sizes_is_refused_by_its_name(tmp_path) -> None:
    """Keras can't trace it for a free batch; with a fixed one it runs."""
    with pytest.raises(BadInput, match=r"\(in Gcd\).*fix them \(keras.Input\(batch_shape=...\)"):
        freeze(model_of(lambda x: ops.gcd(x, x + 6), shape=(3,), dtype="int32"), tmp_path, effort="quick")
    freeze(model_of(lambda x: ops.gcd(x, x + 6), batch_shape=(2, 3), dtype="int32"), tmp_path, effort="quick")


def above_mean(x):
    """The rows whose first number is no less than their mean: of several not all."""
    return tf.boolean_mask(x, x[:, 0] >= tf.reduce_mean(x[:, 0]))


def rows_kept(then: Callable[..., Any]) -> keras.Model:
    """Some rows of what a shared Dense gives, and what is made of them beside all rows."""
    a, b = (keras.Input((4,), name=name) for name in "ab")
    dense = layers.Dense(4)
    both = dense(a) + dense(b)
    rows = layers.Lambda(above_mean, (4,), name="rows")(both)
    return keras.Model([a, b], then(layers.Dense(4, name="head")(rows), both))


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (lambda kept, _: kept, r"^output 'head' has shape .*: layer 'rows' \(Lambda\) at call site 'rows' gives"),
        (
            lambda kept, all_rows: ops.concatenate([kept, all_rows], axis=1),
            r"^the model does not run on inputs drawn.*; layer 'rows' \(Lambda\) at call site 'rows' gives",
        ),
    ],
)
def test_the_call_site_whose_size_numbers_decide_is_named(then, said, tmp_path) -> None:
    """Where the mask is, not where it shows."""
    with pytest.raises(BadInput, match=said) as refusal:
        freeze(rows_kept(then), tmp_path, effort="quick")
    assert "the numbers fed decide (Where)" in str(refusal.value)
    assert "keras.ops.where(mask, x, 0)" in str(refusal.value)


def test_a_size_that_numbers_decide_inside_a_model_is_no_harm(tmp_path) -> None:
    """A sum over the rows that a mask keeps is as large as any."""
    freeze(rows_kept(lambda kept, all_rows: ops.sum(kept, axis=0) + all_rows), tmp_path, effort="quick")


class Iterating(layers.Layer):
    """Runs through its rows in Python, which no graph can."""

    def call(self, x):
        """The sum of the rows."""
        return sum(row for row in x)

    def compute_output_shape(self, shape):
        """Of one row."""
        return shape[1:]


def test_what_asks_for_no_sizes_is_not_told_to_fix_them(tmp_path) -> None:
    """Fixed ones would not help."""
    with pytest.raises(BadInput, match=r"\(in Iterating\): Iterating over a symbolic") as refusal:
        freeze(model_of(Iterating(), shape=(3,), dtype="float32"), tmp_path, effort="quick")
    assert "fix them" not in str(refusal.value)
