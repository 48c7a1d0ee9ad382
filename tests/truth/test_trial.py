"""Models that do not run on everything that their signature allows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from pipeline import bundle
from pipeline.cases import RANDOM, generate, kinds
from pipeline.errors import BadInput
from pipeline.oracle.asking import kept
from pipeline.oracle.freeze import freeze
from pipeline.records import InputSpec, Signature
from pipeline.truth.trial import MOST_CANDIDATES, candidates, first_that_fits
from tests.truth.position_layers import autoencoder, encoder, u_net
from tests.truth.traced_graphs import completed


def test_axes_that_have_to_agree_get_one_name(tmp_path) -> None:
    """So that a deployed bundle refuses a mismatch."""
    left, right = (keras.Input((None,), dtype="int32", name=name) for name in ("left", "right"))
    embedding = layers.Embedding(20, 4)
    truth = freeze(keras.Model([left, right], embedding(left) + embedding(right)), tmp_path, effort="quick")
    assert {spec.shape for spec in truth.signature.inputs} == {("batch", "time")}
    assert truth.signature.outputs[0].shape == ("batch", "time", 4)


def test_axes_that_need_not_agree_keep_their_names(tmp_path) -> None:
    """Nothing is promised that does not have to be."""
    left, right = (keras.Input((None, 2), name=name) for name in ("left", "right"))
    pool, conv = layers.GlobalMaxPooling1D(), layers.Conv1D(3, 2)
    truth = freeze(keras.Model([left, right], pool(conv(left)) + pool(conv(right))), tmp_path, effort="quick")
    assert [spec.shape[1] for spec in truth.signature.inputs] == ["left_time", "right_time"]


def test_an_axis_that_has_to_be_longer_is_found(tmp_path) -> None:
    """Two strided convolutions of width five want thirteen steps: 13, 5, 1."""
    x = keras.Input((None, 4), name="x")
    conv = layers.Conv1D(4, 5, strides=2)
    truth = freeze(keras.Model(x, conv(conv(x))), tmp_path, effort="quick")
    assert truth.signature.axes["x_time"].least == 13
    assert "subtracting 5 from 4" in truth.signature.axes["x_time"].reason


def test_a_table_that_no_graph_shows_bounds_ids(tmp_path) -> None:
    """An embedding inside a wrapper."""
    x = keras.Input((3, 2), dtype="int32", name="x")
    truth = freeze(keras.Model(x, layers.TimeDistributed(layers.Embedding(6, 2))(x)), tmp_path, effort="quick")
    assert truth.signature.inputs[0].ids_below == 6


def test_a_model_that_runs_on_nothing_is_one_line(tmp_path) -> None:
    """With what TensorFlow said."""
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    message = r"does not run on inputs drawn from its signature: .*[Ii]ncompatible shapes.*give samples"
    with pytest.raises(BadInput, match=message) as refusal:
        freeze(
            keras.Model([a, b], ops.matmul(a, ops.transpose(b, (0, 2, 1))) + ops.ones((1, 7, 911))),
            tmp_path,
            effort="quick",
        )
    assert len(str(refusal.value).splitlines()) == 1


def test_one_static_batch_among_inputs_with_a_free_one(tmp_path) -> None:
    """The one that is fixed is fed as it is."""
    a, b = keras.Input((5,), name="a"), keras.Input(batch_shape=(4, 5), name="b")
    truth = freeze(keras.Model([a, b], [layers.Dense(2)(a), layers.Dense(2)(b)]), tmp_path, effort="quick")
    assert truth.signature.inputs[1].shape == (4, 5)


def test_inputs_without_a_batch_are_one_case(tmp_path) -> None:
    """Of rank 0, there is nothing to draw more of."""
    scale = keras.Input(batch_shape=(), name="scale")
    truth = freeze(keras.Model(scale, keras.ops.exp(scale)), tmp_path, effort="quick")
    assert [case.batch for case in truth.cases if case.kind == RANDOM] == [1]
    assert truth.signature.outputs[0].shape == ()


def test_models_with_tables_and_strides_are_frozen_at_the_first_try(tmp_path) -> None:
    """Each kind of case has sizes and values that the model takes; answers are there for all of them."""
    with kept():
        for number, model in enumerate((encoder(), u_net(), autoencoder(3))):
            folder = tmp_path / str(number)
            folder.mkdir()
            truth = freeze(model, folder, effort="quick")
            assert truth.signature.shortest_axis == 3
            assert truth.signature.axes
            assert {case.kind for case in truth.cases} >= {"random", "shortest", "longest"}
            assert all(line.startswith("shared weights: ") for line in truth.not_judged)
            for case in bundle.read_cases(folder / "samples.npz", truth):
                bundle.check_feed(truth.signature.inputs, case.inputs, truth.signature.axes)


class Hidden(layers.Layer):
    """Looks ids up where no graph tells: in a function of numpy's, with a table of two rows."""

    def call(self, ids):
        """One number for each id."""
        import tensorflow as tf

        rows = np.array([0.5, 2.0], np.float32)
        found = tf.numpy_function(lambda each: rows[each], [ids], tf.float32)
        return tf.ensure_shape(found, ids.shape)

    def compute_output_spec(self, ids):
        """As many."""
        return keras.KerasTensor(ids.shape, "float32")


def test_what_no_graph_tells_is_tried() -> None:
    """Integers as masks come first; the bundle's promise is no wider than what ran."""
    ids = keras.Input((4,), dtype="int32", name="ids")
    model = keras.Model(ids, Hidden()(ids))
    for candidate in candidates(model, completed(model)):
        try:
            for kind in kinds(candidate):
                model(generate(candidate, 3, 1, kind)["ids"])
        except Exception:  # noqa: BLE001 - what the runtime makes of an index past the end of numpy's table
            continue
        break
    assert candidate.inputs[0].ids_below == 2


def test_candidates_are_few_and_unlike_and_begin_with_what_the_graph_says() -> None:
    """Those that depart in one thing come before those that depart in two."""
    model = encoder()
    signature = completed(model)
    found = list(candidates(model, signature))
    assert found[0] == signature
    assert len(found) == MOST_CANDIDATES
    assert all(one != other for number, one in enumerate(found) for other in found[:number])
    departures = [
        (each.shortest_axis != 3) + (each.axes != signature.axes) + (each.inputs != signature.inputs) for each in found
    ]
    assert departures[1:8] == [1] * 7
    assert departures[-1] > 1


def test_a_model_without_free_axes_and_integers_has_one_candidate() -> None:
    """There is nothing to vary."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2)(x))
    assert list(candidates(model, completed(model))) == [completed(model)]


def test_candidates_that_are_cut_short_say_so() -> None:
    """A longer axis than ran is refused, with a reason."""
    x = keras.Input((None, 2), name="x")
    model = keras.Model(x, layers.Conv1D(2, 3, padding="same")(x))
    cut = [each.axes["x_time"] for each in candidates(model, completed(model)) if each.axes]
    assert {(rule.most, rule.reason) for rule in cut} >= {(12, "it was not seen to run on longer ones")}


def test_samples_take_the_first_signature_that_they_fit() -> None:
    """Two sequences of unlike length are none of those that have to agree; with no fit the first refusal is told."""
    x = InputSpec(name="x", shape=("batch", "time", 2), dtype="float32")
    agreeing = Signature(inputs=(x, x.model_copy(update={"name": "y"})), outputs=())
    free = agreeing.model_copy(update={"inputs": (x, x.model_copy(update={"name": "y", "shape": ("batch", "b", 2)}))})
    unlike = {"x": np.zeros((3, 4, 2), np.float32), "y": np.zeros((3, 5, 2), np.float32)}
    signature, samples = first_that_fits([agreeing, free], unlike)
    assert (signature, samples.rows) == (free, 3)
    with pytest.raises(BadInput, match="axis 'time' is 4 in 'x' and 5 in 'y'"):
        first_that_fits([agreeing], unlike)
