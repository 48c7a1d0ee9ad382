"""Models that do not run on everything that their signature allows."""

from __future__ import annotations

import keras
import pytest
from keras import layers, ops

from pipeline.cases import RANDOM
from pipeline.errors import BadInput
from pipeline.oracle.freeze import freeze


def test_axes_that_have_to_agree_get_one_name(tmp_path) -> None:
    """So that a deployed bundle refuses a mismatch."""
    left, right = (keras.Input((None,), dtype="int32", name=name) for name in ("left", "right"))
    embedding = layers.Embedding(20, 4)
    truth = freeze(keras.Model([left, right], embedding(left) + embedding(right)), tmp_path)
    assert {spec.shape for spec in truth.signature.inputs} == {("batch", "time")}
    assert truth.signature.outputs[0].shape == ("batch", "time", 4)


def test_axes_that_need_not_agree_keep_their_names(tmp_path) -> None:
    """Nothing is promised that does not have to be."""
    left, right = (keras.Input((None, 2), name=name) for name in ("left", "right"))
    pool, conv = layers.GlobalMaxPooling1D(), layers.Conv1D(3, 2)
    truth = freeze(keras.Model([left, right], pool(conv(left)) + pool(conv(right))), tmp_path)
    assert [spec.shape[1] for spec in truth.signature.inputs] == ["left_time", "right_time"]


def test_an_axis_that_has_to_be_longer_is_found(tmp_path) -> None:
    """Two strided convolutions of width five want more than a dozen steps."""
    x = keras.Input((None, 4), name="x")
    conv = layers.Conv1D(4, 5, strides=2)
    truth = freeze(keras.Model(x, conv(conv(x))), tmp_path)
    assert truth.signature.shortest_axis == 16


def test_a_table_that_no_graph_shows_bounds_ids(tmp_path) -> None:
    """An embedding inside a wrapper."""
    x = keras.Input((3, 2), dtype="int32", name="x")
    truth = freeze(keras.Model(x, layers.TimeDistributed(layers.Embedding(6, 2))(x)), tmp_path)
    assert truth.signature.inputs[0].ids_below == 6


def test_a_model_that_runs_on_nothing_is_one_line(tmp_path) -> None:
    """With what TensorFlow said."""
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    with pytest.raises(BadInput, match="does not run on inputs drawn from its signature") as refusal:
        freeze(keras.Model([a, b], ops.matmul(a, ops.transpose(b, (0, 2, 1))) + ops.ones((1, 7, 911))), tmp_path)
    assert len(str(refusal.value).splitlines()) == 1


def test_one_static_batch_among_inputs_with_a_free_one(tmp_path) -> None:
    """The one that is fixed is fed as it is."""
    a, b = keras.Input((5,), name="a"), keras.Input(batch_shape=(4, 5), name="b")
    truth = freeze(keras.Model([a, b], [layers.Dense(2)(a), layers.Dense(2)(b)]), tmp_path)
    assert truth.signature.inputs[1].shape == (4, 5)


def test_inputs_without_a_batch_are_one_case(tmp_path) -> None:
    """Of rank 0, there is nothing to draw more of."""
    scale = keras.Input(batch_shape=(), name="scale")
    truth = freeze(keras.Model(scale, keras.ops.exp(scale)), tmp_path)
    assert [case.batch for case in truth.cases if case.kind == RANDOM] == [1]
    assert truth.signature.outputs[0].shape == ()
