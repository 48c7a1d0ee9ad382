import shutil

import numpy as np
import pytest
import tensorflow as tf

from pipeline.bundle import read_manifest
from pipeline.records import TensorSpec
from pipeline.store import digest
from pipeline.verify.savedmodel_half import _paired, verify
from pipeline.verify.verdict import verify_directory
from tests.small_bundle import BIAS, KERNEL, SIGNATURE, WIDTH, write_bundle, write_manifest


def specs(**renamed):
    """Tensor specs of the signature's inputs, by the names that the SavedModel gives them."""
    names = {spec.name: renamed.get(spec.name, spec.name) for spec in SIGNATURE.inputs}
    return {own: tf.TensorSpec([None, WIDTH], tf.float32, name=own) for own in names.values()}


def save(folder, scale=1.0, inputs=("left", "right"), dtype=tf.float32, copies=1):
    """A SavedModel of a plain `tf.Module` that holds each weight once."""
    module = tf.Module()
    module.kernel, module.bias = tf.Variable(KERNEL * scale), tf.Variable(BIAS)
    module.copies = [tf.Variable(KERNEL) for _ in range(copies - 1)]

    @tf.function(autograph=False)
    def serve(**feed):
        a, b = (tf.matmul(feed[name], module.kernel) + module.bias for name in inputs)
        return {"joined": tf.cast(a + b, dtype), "is_larger": a > b}

    renamed = dict(zip(("left", "right"), inputs, strict=True))
    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures=serve.get_concrete_function(**specs(**renamed)))


def save_one_that_writes(folder, path, is_nested):
    """A right SavedModel that also writes a file whenever it is run."""
    module = tf.Module()
    module.kernel, module.bias = tf.Variable(KERNEL), tf.Variable(BIAS)

    @tf.function(autograph=False)
    def inner():
        tf.io.write_file(str(path), "written")

    @tf.function(autograph=False)
    def serve(left, right):
        (inner if is_nested else inner.python_function)()
        a, b = (tf.matmul(feed, module.kernel) + module.bias for feed in (left, right))
        return {"joined": a + b, "is_larger": a > b}

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures=serve.get_concrete_function(**specs()))


def bundle_with(folder, **options):
    """A bundle whose SavedModel is made with `options`."""
    truth = write_bundle(folder)
    save(folder / "saved_model", **options)
    return seal(truth)


def seal(folder):
    """Describe what lies in `folder` now."""
    write_manifest(folder, read_manifest(folder).truth)
    return folder


def judged(folder):
    """The verdict on the bundle's SavedModel, in this process: TensorFlow is here already."""
    return verify(folder / "saved_model", folder)


def failed(verdict):
    """Names and details of the checks that fail."""
    return {check.name: check.detail for check in verdict.checks if not check.passed}


def test_a_savedmodel_passes_through_both_loaders(tmp_path):
    """Python's and the session of servers, each with its figures."""
    verdict = verify_directory(bundle_with(tmp_path / "views"))
    assert verdict.passed, verdict
    artifacts = {figure.artifact for figure in verdict.parity}
    assert artifacts == {"onnx", "saved_model", "saved_model (session)"}


def test_a_savedmodel_with_a_changed_weight_fails_through_both_loaders(tmp_path):
    """By the figures of each."""
    found = failed(judged(bundle_with(tmp_path / "views", scale=1.01)))
    assert {name.split(" output ")[0] for name in found} == {"saved_model", "saved_model (session)"}


def test_a_savedmodel_that_only_python_can_load_fails(tmp_path):
    """What `tf.saved_model.save` makes of a Keras model: its variables are not found in a session (keras #20096)."""
    keras = pytest.importorskip("keras")
    left, right = (keras.Input((WIDTH,), name=name) for name in ("left", "right"))
    dense = keras.layers.Dense(KERNEL.shape[1], bias_initializer=keras.initializers.Constant(0))
    a, b = dense(left), dense(right)
    model = keras.Model([left, right], {"joined": a + b, "is_larger": keras.ops.greater(a, b)})
    dense.set_weights([KERNEL, BIAS])

    @tf.function(autograph=False)
    def serve(left, right):
        return model({"left": left, "right": right}, training=False)

    folder = write_bundle(tmp_path / "views")
    signature = serve.get_concrete_function(**specs())
    tf.saved_model.save(model, str(folder / "saved_model"), signatures=signature)
    found = failed(judged(seal(folder)))
    assert found
    assert all("session" in name for name in found)


def test_a_name_that_tensorflow_does_not_allow_is_told_and_matched(tmp_path):
    """`left` is called `left_side` here: paired in order, with a line that says so."""
    verdict = judged(bundle_with(tmp_path / "views", inputs=("left_side", "right")))
    assert verdict.passed, verdict
    assert "'left' is called 'left_side'" in str(verdict)


def test_a_savedmodel_of_another_dtype_fails(tmp_path):
    """Its answers are right, and float64."""
    found = failed(judged(bundle_with(tmp_path / "views", dtype=tf.float64)))
    assert "joined: float64(free, 3)" in found["saved_model signature has Keras' outputs"]


def test_a_savedmodel_without_its_graph_or_cut_off_fails_without_an_exception(tmp_path):
    """It is not even loaded."""
    folder = bundle_with(tmp_path / "views")
    path = folder / "saved_model" / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:100])
    assert set(failed(judged(folder))) == {"saved_model only computes"}
    shutil.rmtree(folder / "saved_model")
    assert set(failed(judged(folder))) == {"saved_model only computes"}


def test_names_are_matched_as_tensorflow_sanitises_them_before_they_are_paired_in_order():
    """`b/x` and `a/x` become `b_x` and `a_x`, which come back sorted."""
    own = tuple(TensorSpec(name=name, shape=("batch",), dtype="float32") for name in ("b/x", "a/x", "é"))
    assert _paired(own, ["a_x", "b_x", "e"]) == {"b/x": "b_x", "a/x": "a_x", "é": "e"}


def test_the_feed_is_what_was_frozen(tmp_path):
    """A SavedModel that ignores an input is caught by values."""
    folder = write_bundle(tmp_path / "views")
    module = tf.Module()
    module.kernel, module.bias = tf.Variable(KERNEL), tf.Variable(BIAS)

    @tf.function(autograph=False)
    def serve(left, right):
        a = tf.matmul(left, module.kernel) + module.bias
        return {"joined": a + a + 0 * right[:, :3], "is_larger": a > a}

    module.serve = serve
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=serve.get_concrete_function(**specs()))
    assert "saved_model output 'joined' within budget" in failed(judged(seal(folder)))


@pytest.mark.parametrize(("relative", "precision"), [(1e-1, "bfloat16"), (2e-2, "float16"), (5e-2, "int8")])
def test_a_savedmodel_is_not_judged_by_the_budget_of_a_precision_that_it_has_not(tmp_path, relative, precision):
    """It computes in float32 alone."""
    folder = bundle_with(tmp_path / "views")
    path = folder / "samples.npz"
    with np.load(path) as archive:
        kept = {key: archive[key] for key in archive.files if "/f64/" not in key}
    np.savez_compressed(path, **kept)
    truth = read_manifest(folder).truth
    budget = truth.budgets[0].model_copy(update={"rule": "stated", "absolute": 1e-6, "relative": relative})
    changes = {"budgets": (budget,), "no_float64": "layer 'own' casts", "samples": digest(path)}
    write_manifest(folder, truth.model_copy(update=changes))
    assert f"is stated for {precision}, in which nothing of the artifact is" in failed(judged(folder))["frozen truth"]


def test_what_keras_was_not_asked_is_told_of_a_savedmodel_alone(tmp_path):
    """Where there is no ONNX file to say it."""
    folder = bundle_with(tmp_path / "views")
    told = {"not_judged": ("case zeros: Keras gave no answer",), "notes": ("Keras differs from itself",)}
    write_manifest(folder, read_manifest(folder).truth.model_copy(update=told))
    verdict = judged(folder)
    assert {"case zeros: Keras gave no answer", "Keras differs from itself"} <= set(verdict.not_judged)


def test_a_savedmodel_that_stores_a_weight_twice_fails(tmp_path):
    """As Keras' own export does with all of them (keras #23553)."""
    folder = write_bundle(tmp_path / "views")
    save(folder / "saved_model", copies=2)
    assert failed(judged(seal(folder))) == {"saved_model stores each weight once": "27 elements of 15 parameters"}


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_graph_that_writes_files_is_not_run(tmp_path, is_nested):
    """Its answers would be right; the operation is named, in a function that another calls too."""
    truth = write_bundle(tmp_path / "views")
    save_one_that_writes(tmp_path / "views" / "saved_model", tmp_path / "written", is_nested)
    seal(truth)
    assert failed(judged(tmp_path / "views")) == {"saved_model only computes": "WriteFile"}
    assert not (tmp_path / "written").exists()
