"""The SavedModel and the Keras file beside the ONNX file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline import cases
from pipeline.errors import BadInput
from pipeline.export import keras_file
from pipeline.export.artifacts import write_artifacts
from pipeline.export.keras_file import export_keras
from pipeline.export.options import ExportOptions, ShapeAndDtype, input_signature
from pipeline.export.saved_model import export_saved_model, served_names
from pipeline.graph.flatten import flatten
from pipeline.graph.functional import as_functional
from pipeline.oracle.freeze import freeze
from pipeline.truth.signature import read_signature
from pipeline.verify import savedmodel_half
from tests.export.test_zoo import failures
from tests.sampling import sampled
from tests.zoo import ZOO, fill

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def megabytes_of_variables(folder: Path) -> float:
    """What TensorFlow stored."""
    return sum(path.stat().st_size for path in folder.rglob("variables.data*")) / 2**20


def test_the_saved_model_stores_each_weight_once(tmp_path) -> None:
    """Keras' own export stores all of them twice (keras #23553)."""
    i = keras.Input((512,), name="x")
    dense = keras.layers.Dense(512)
    model = keras.Model(i, dense(dense(i)))
    export_saved_model(flatten(model), read_signature(model), tmp_path / "ours")
    model.export(tmp_path / "keras", verbose=False)
    unique = 4 * model.count_params() / 2**20
    assert megabytes_of_variables(tmp_path / "ours") < 1.05 * unique + 64 / 1024
    assert megabytes_of_variables(tmp_path / "keras") > 1.9 * unique, "mended upstream: drop our way around it"


def looked_up() -> keras.Model:
    """Two integer features through one table of words' ids."""
    a, b = (keras.Input((3,), dtype="int64", name=name) for name in "ab")
    lookup, embedding = keras.layers.IntegerLookup(vocabulary=[1, 5, 9]), keras.layers.Embedding(5, 3)
    return keras.Model([a, b], embedding(lookup(a)) + embedding(lookup(b)))


def with_a_table_of_its_own() -> keras.Model:
    """A layer that holds TensorFlow's own table, which Keras does not know."""

    class Scale(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="scale")
            keys, values = tf.constant([1, 2], tf.int64), tf.constant([0.5, 0.25])
            self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 1.0)
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

        def call(self, x):
            return self.table.lookup(x) * self.factor

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, "float32")

    x = keras.Input((4,), dtype="int64", name="x")
    return keras.Model(x, Scale()(x))


def subclassed() -> keras.Model:
    """Masked ids through a recurrent layer, in a model without a graph."""

    class Encoder(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="encoder")
            self.embedding, self.lstm = keras.layers.Embedding(9, 4, mask_zero=True), keras.layers.LSTM(3)

        def call(self, ids):
            return self.lstm(self.embedding(ids))

    return as_functional(Encoder(), {"ids": keras.InputSpec(shape=(None, None), dtype="int32")})


def oddly_named() -> keras.Model:
    """Names that TensorFlow refuses as those of scopes."""
    x, y = keras.Input((4,), name="a.b"), keras.Input((4,), name="c:d é")
    dense = keras.layers.Dense(3, name="my layer.1:é")
    return keras.Model([x, y], {"out put:1": dense(x), "ö.2": dense(y)}, name="mod el:é.x")


def drawing_for_nothing() -> keras.Model:
    """Two images through one augmentation, which draws a seed at inference too and throws it away."""
    a, b = (keras.Input((4, 4, 3), name=name) for name in "ab")
    hue, conv = keras.layers.RandomHue(0.1), keras.layers.Conv2D(2, 3)
    return keras.Model([a, b], conv(hue(a)) - conv(hue(b)))


SERVED = {
    **{name: ZOO[name] for name in ("masked_encoder_decoder", "nested_dicts", "static_batch", "stacked_cells")},
    **{build.__name__: build for build in (looked_up, with_a_table_of_its_own, subclassed, oddly_named)},
}


@pytest.mark.parametrize("name", sampled(SERVED, 2))
def test_the_saved_model_holds_against_frozen_truth(name: str, tmp_path) -> None:
    """Through tf.saved_model.load and through the session that servers use; its variables are the weights, once."""
    model = SERVED[name]()
    fill(model, 0)
    truth = freeze(model, tmp_path, effort="quick")
    export_saved_model(flatten(model), truth.signature, tmp_path / "saved_model")
    assert failures(savedmodel_half.verify(tmp_path / "saved_model", tmp_path)) == []
    assert megabytes_of_variables(tmp_path / "saved_model") < (1.05 * 4 * model.count_params() + 2**16) / 2**20


def test_a_seed_that_is_drawn_for_nothing_is_not_stored(tmp_path) -> None:
    """The weights are all that there is."""
    model = drawing_for_nothing()
    export_saved_model(flatten(model), read_signature(model), tmp_path / "saved_model")
    stored = tf.train.list_variables(str(tmp_path / "saved_model" / "variables" / "variables"))
    sizes = [int(np.prod(shape)) for key, shape in stored if key != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert sum(sizes) == model.count_params()


def test_the_saved_model_promises_the_sizes_that_are_known(tmp_path) -> None:
    """TensorFlow sees that there is one step only where the batch has a size too."""

    class Steps(layers.Layer):
        def call(self, x):
            return ops.reshape(x, (ops.shape(x)[0], -1, 4))

    x = keras.Input((1, 4), name="x")
    steps, dense = Steps(name="steps"), layers.Dense(4, name="dense")
    model = keras.Model(x, steps(dense(steps(dense(x)))))
    truth = freeze(model, tmp_path, effort="quick")
    assert truth.signature.outputs[0].shape == ("batch", 1, 4)
    export_saved_model(flatten(model), truth.signature, tmp_path / "saved_model")
    assert failures(savedmodel_half.verify(tmp_path / "saved_model", tmp_path)) == []


def test_signs_that_tensorflow_refuses_in_names_are_replaced() -> None:
    """And names stay different."""
    assert served_names(["a.b_c/d-1", "right image:0", "right image_0", "_x"]) == [
        "a.b_c/d-1",
        "right_image_0",
        "right_image_0_1",
        "x_x",
    ]


def test_a_layer_shared_across_submodels_reloads_in_a_fresh_process(tmp_path) -> None:
    """Keras' own file of such a model can't be loaded (keras #9571); the flat one keeps its weights and answers."""
    model = ZOO["one_layer_in_two_submodels"]()
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    path = tmp_path / "model.keras"
    assert export_keras(model, flatten(model), signature, feed, path) is None
    code = (
        "import sys, json, numpy as np, keras; m = keras.models.load_model(sys.argv[1]);"
        "a = json.loads(sys.argv[2]); y = m([np.array(a['left'], 'float32'), np.array(a['right'], 'float32')]);"
        "print(json.dumps([len(m.weights), np.asarray(y).tolist()]))"
    )
    given = json.dumps({name: value.tolist() for name, value in feed.items()})
    done = subprocess.run([sys.executable, "-c", code, path, given], capture_output=True, text=True, check=True)
    count, answer = json.loads(done.stdout.splitlines()[-1])
    assert count == 2
    np.testing.assert_array_equal(np.asarray(model([feed["left"], feed["right"]])), np.array(answer, "float32"))


def test_a_keras_file_that_would_take_too_much_memory_to_try_is_left_out(tmp_path, monkeypatch) -> None:
    """With what it would take, and who else writes one."""
    monkeypatch.setattr(keras_file, "MOST_BYTES", 100)
    model = ZOO["dense_on_two_views"]()
    signature = read_signature(model)
    reason = export_keras(model, flatten(model), signature, cases.generate(signature, 1, 0), tmp_path / "model.keras")
    assert reason is not None
    assert "its weights take 0.0 GiB" in reason
    assert "model.save()" in reason
    assert not list(tmp_path.iterdir())


def test_keras_own_file_of_such_a_model_can_not_be_loaded(tmp_path) -> None:
    """When this fails, the flat model is no longer needed for `model.keras` (keras #9571, #10898)."""
    ZOO["one_layer_in_two_submodels"]().save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match="expected 2 variables"):
        keras.models.load_model(tmp_path / "own.keras")


def test_a_keras_file_keeps_its_submodels_where_it_can(tmp_path) -> None:
    """Only a model that Keras can't reload by itself becomes flat."""
    model = ZOO["sequential_triplet"]()
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    assert export_keras(model, flatten(model), signature, feed, tmp_path / "model.keras") is None
    assert "embed" in [layer.name for layer in keras.models.load_model(tmp_path / "model.keras").layers]


@keras.saving.register_keras_serializable("tests")
class InGraphsAlone(keras.layers.Layer):
    """Refuses to be called on numbers."""

    def call(self, x):
        """Twice of it."""
        if tf.executing_eagerly():
            raise RuntimeError("a graph is needed")
        return x * 2.0


def test_a_layer_that_runs_in_a_graph_alone_is_tried_there(tmp_path) -> None:
    """Whatever a trace takes."""
    x = keras.Input((3,), name="x")
    model = keras.Model(x, InGraphsAlone()(x))
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    path = tmp_path / "model.keras"
    assert export_keras(model, flatten(model), signature, feed, path, has_loops=False) is None
    assert path.is_file()


@keras.saving.register_keras_serializable("tests")
class Tally(keras.layers.Layer):
    """Counts what it sees."""

    def build(self, shape):
        """The count."""
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        """The input."""
        self.seen.assign(self.seen + 1.0)
        return x


def test_a_count_of_what_was_broken_off_is_forgotten(tmp_path) -> None:
    """Read again, it would look like a state that lasts from call to call."""
    x = keras.Input((3,), name="x")
    model = keras.Model(x, InGraphsAlone()(Tally()(x)))
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    assert export_keras(model, flatten(model), signature, feed, tmp_path / "model.keras", has_loops=False) is None


@pytest.mark.parametrize("has_loops", [False, True])
def test_a_keras_file_that_answers_otherwise_is_left_out(tmp_path, has_loops: bool, monkeypatch) -> None:
    """However it is asked."""
    model = ZOO["sequential_triplet"]()
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    load = keras.models.load_model

    def changed(path):
        again = load(path)
        again.weights[0].assign(again.weights[0] + 0.001)
        return again

    monkeypatch.setattr(keras.models, "load_model", changed)
    reason = export_keras(model, flatten(model), signature, feed, tmp_path / "model.keras", has_loops=has_loops)
    assert reason is not None
    assert "reloaded it computes another" in reason


def test_a_keras_file_that_loses_sharing_is_left_out_with_the_reason(tmp_path) -> None:
    """Sharing inside wrappers is in no config."""
    model = ZOO["three_wrappers_of_one_network"]()
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    reason = export_keras(model, flatten(model), signature, feed, tmp_path / "model.keras")
    assert reason is not None
    assert not (tmp_path / "model.keras").exists()


class Configless(keras.layers.Layer):
    """A layer whose config does not tell what it was made with."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def call(self, x):
        """Whatever the function says."""
        return self.function(x)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Configless(lambda x: x + 1), "'Configless' does not say how to make it again: give it get_config()"),
        (keras.layers.Lambda(lambda x: x + 1), "it holds a Python lambda, which Keras does not load"),
    ],
)
def test_a_layer_that_does_not_serialise_leaves_out_the_keras_file_alone(layer, reason: str, tmp_path) -> None:
    """The other artifacts are written, and the reason is one that says what to do."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layer(layer(keras.layers.Dense(4)(x))))
    signature = read_signature(model)
    written = write_artifacts(model, signature, cases.generate(signature, 2, 0), ExportOptions(), tmp_path)
    assert list(written.left_out) == ["model.keras"]
    assert reason in written.left_out["model.keras"]
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "saved_model"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"opset": 12}, "opset 12 can't be written: choose 13 to 18"),
        ({"opset": 23}, "opset 23 can't be written"),
        ({"formats": ("onx",)}, "unknown format onx: choose among onnx, saved_model, keras"),
        ({"formats": ()}, r"unknown format \(none\)"),
        ({"batched": "always"}, "not available yet"),
        ({"input_signature": {}}, "input_signature is not a dict"),
        ({"input_signature": [(None, 3)]}, "input_signature is not a dict"),
    ],
)
def test_options_that_are_not_known_are_refused(choice: dict, message: str) -> None:
    """With what can be chosen."""
    with pytest.raises(BadInput, match=message):
        ExportOptions(**choice)


def test_a_signature_is_read_from_text() -> None:
    """A name may hold colons and equals signs; without a dtype it is float32."""
    signature = input_signature(["ids=None,10:int32", "a:b=c=(None, 28,28)", "rate=:float64"])
    assert signature == {
        "ids": ShapeAndDtype((None, 10), "int32"),
        "a:b=c": ShapeAndDtype((None, 28, 28)),
        "rate": ShapeAndDtype((), "float64"),
    }


@pytest.mark.parametrize("texts", [["ids"], ["=3"], ["x=wide"], ["x=-1,3"], ["x=3", "x=4"]])
def test_a_text_that_is_no_signature_is_refused(texts: list[str]) -> None:
    """With an example of one."""
    with pytest.raises(BadInput, match="--input"):
        input_signature(texts)
