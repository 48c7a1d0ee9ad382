"""An output whose features have scales far apart is judged feature by feature."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers, ops

import pipeline
from pipeline import bundle
from pipeline.budget_rule import UNLIKE, are_unlike, derived_by_feature, feature_errors, largest_error, stated
from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.freeze import freeze
from pipeline.subsets import reduced
from pipeline.verify.frozen_truth import check_truth, told
from pipeline.verify.output_error import OutputError, judge_output


def columns(scales: list[float]) -> keras.Model:
    """One Dense whose columns have these scales."""
    x = keras.Input((5,), name="x")
    dense = layers.Dense(len(scales), name="columns")
    model = keras.Model(x, dense(x))
    rng = np.random.default_rng(0)
    dense.set_weights([rng.normal(size=(5, len(scales))) * scales, rng.normal(size=len(scales)) * scales])
    return model


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """A column of 0.004 beside one of 10,000, frozen."""
    folder = tmp_path_factory.mktemp("unlike")
    model = columns([4e-3, 1e4, 1.0])
    truth = freeze(model, folder)
    return model, truth, bundle.read_cases(folder / bundle.SAMPLES, truth)


def judged(truth, case, answer: np.ndarray) -> OutputError:
    """The judgement of an answer."""
    (spec,) = truth.signature.outputs
    return judge_output(spec, case, {spec.name: answer}, truth.budget(spec.name, case.case.kind))


def test_a_small_column_that_is_lost_fails(unlike) -> None:
    """Beside a large one it is within the budget of the whole."""
    _, truth, cases = unlike
    case = next(each for each in cases if each.case.kind == "random" and each.case.batch == 17)
    exact, sound = case.float64["columns"], case.float32["columns"]
    assert judged(truth, case, sound).holds
    for lost in (0.0, 0.999):
        spoilt = sound.copy()
        spoilt[:, 0] *= lost
        assert np.abs(spoilt - exact).max() < truth.budget("columns", "random").at(np.abs(exact).max())
        found = judged(truth, case, spoilt)
        assert not found.holds
        assert found.feature == 0
        assert "in feature 0" in found.sentence


def test_a_sound_file_of_columns_far_apart_is_exported(tmp_path) -> None:
    """Summed in another order, and concatenated from two layers."""
    x = keras.Input((64,), name="x")
    small, large = layers.Dense(3, name="small"), layers.Dense(3, name="large")
    model = keras.Model(x, layers.Concatenate(name="both")([small(x), large(layers.ReLU()(large(x)[..., :1] * x))]))
    rng = np.random.default_rng(1)
    small.set_weights([rng.normal(size=(64, 3)) * 1e-4, rng.normal(size=3) * 1e-4])
    large.set_weights([rng.normal(size=(64, 3)) * 1e3, rng.normal(size=3) * 1e3])
    pipeline.export_bundle(model, tmp_path / "b", options=pipeline.ExportOptions(formats=("onnx",)))
    with np.load(tmp_path / "b" / bundle.SAMPLES) as samples:
        assert any("/noise/" in key for key in samples.files)


def test_gates_that_are_all_but_closed_raise_no_alarm(tmp_path) -> None:
    """A runtime's sigmoid is accurate to a unit at 1: the noise of a closed one is of that size, not of its own."""
    x = keras.Input((4,), name="x")
    dense = layers.Dense(3, name="dense")
    model = keras.Model(x, ops.sigmoid(dense(x)))
    dense.set_weights([0.1 * np.random.default_rng(0).normal(size=(4, 3)), np.array([-15.0, 0.0, -40.0])])
    folder = tmp_path / "closed"
    pipeline.export_bundle(model, folder, options=pipeline.ExportOptions(formats=("onnx",)))
    truth = bundle.read_truth(folder)
    case = next(each for each in bundle.read_cases(folder / bundle.SAMPLES, truth) if each.case.key == "random17")
    (name,) = case.by_feature
    off = case.float32[name].copy()
    off[:, 0] += np.float32(2**-23)
    (spec,) = truth.signature.outputs
    assert judge_output(spec, case, {name: off}, truth.budget(name, "random")).holds


def test_without_a_reference_a_small_feature_is_told_of_and_not_judged_by_its_own_scale(tmp_path) -> None:
    """A sound file is off by a quarter of what a closed gate before a large state leaves: only noise tells that.

    Where there is no float64 model to make noise in, the scale of the whole is all there is, and the verdict says so.
    """
    x, state, gate = keras.Input((4,), name="x"), layers.Dense(1), layers.Dense(1)
    kept = 1e3 * state(x) * ops.sigmoid(gate(x) - 18.0)
    model = keras.Model(x, layers.Concatenate(name="y")([1e4 * state(x), kept]))
    rng = np.random.default_rng(0)
    for layer in (state, gate):
        layer.set_weights([rng.normal(size=(4, 1)), np.zeros(1)])
    truth = freeze(model, tmp_path, effort="quick")
    export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18).save(tmp_path / "model.onnx")
    rows = rng.normal(size=(257, 4)).astype(np.float32)
    (answer,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"x": rows})
    errors, scales = feature_errors(answer, np.asarray(model.predict(rows, verbose=0)))
    stated_ = stated("y", "random", ["float32"])
    assert errors[1] > 20 * stated_.at(scales[1])
    assert errors[1] < stated_.at(scales[0])
    cases = bundle.read_cases(tmp_path / bundle.SAMPLES, truth)
    plain = tuple(bundle.CaseArrays(each.case, each.inputs, each.float32, None) for each in cases)
    weaker = truth.model_copy(update={"no_float64": "layer 'own' casts"})
    (line,) = (line for line in told(weaker, plain) if "features" in line)
    assert line.startswith("output 'y': its features have scales from ")
    assert not any("features" in line for line in told(truth, cases))


def test_features_of_like_scales_are_judged_together(tmp_path) -> None:
    """Nothing more is kept of them."""
    truth = freeze(columns([1.0, 3.0, 0.5]), tmp_path)
    cases = bundle.read_cases(tmp_path / bundle.SAMPLES, truth)
    assert not any(case.by_feature or case.noise for case in cases)
    assert are_unlike(np.array([1.0, 0.0, 2 * UNLIKE]))
    assert not are_unlike(np.array([1.0, 0.0, UNLIKE / 2]))


def test_steps_of_time_are_no_features(tmp_path) -> None:
    """A score for each step: cases have other lengths, and the last step of one is nothing to that of another."""
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, ops.exp(4 * ops.squeeze(layers.Dense(1)(x), -1)))
    truth = freeze(model, tmp_path)
    cases = bundle.read_cases(tmp_path / bundle.SAMPLES, truth)
    (spec,) = truth.signature.outputs
    assert spec.shape == ("batch", "x_time")
    assert len({case.float32[spec.name].shape for case in cases if case.case.kind == "random"}) > 1
    assert not any(case.by_feature or case.noise for case in cases)
    assert check_truth(truth, cases).passed


def test_noise_by_feature_that_is_missing_fails(unlike) -> None:
    """Without it a small feature is allowed what the largest is."""
    _, truth, cases = unlike
    stripped = tuple(bundle.CaseArrays(c.case, c.inputs, c.float32, c.float64, c.open, {}, c.by_feature) for c in cases)
    assert check_truth(truth, cases).passed
    check = check_truth(truth, stripped)
    assert not check.passed
    assert "unlike scales" in check.detail


def test_a_feature_never_gets_more_than_the_whole() -> None:
    """However large its own errors are beside itself."""
    wide = derived_by_feature("float32", [(np.array([1.0, 0.0]), np.array([1e-9, 1.0]))], [], np.array([1.0, 1.0]))
    assert wide.at(np.array([1.0, 1.0]), most=1e-3).max() == 1e-3


def test_errors_of_a_reduced_answer_are_those_of_its_elements() -> None:
    """By feature and together, beside the whole answer's scales."""
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(8, 64, 64, 3)) * [1.0, 1e3, 1e-3]
    found = exact * (1 + 1e-6 * rng.normal(size=exact.shape))
    kept = reduced(exact, 1)
    errors, scales = feature_errors(found, kept)
    whole_errors, whole_scales = feature_errors(found, exact)
    assert np.array_equal(scales, whole_scales)
    assert (errors <= whole_errors).all()
    assert (errors > whole_errors / 3).all()
    error, scale = largest_error(reduced(found, 1, kept), kept)
    assert scale == np.abs(exact).max()
    assert error == errors.max()


def test_features_of_a_reduced_answer_are_judged_each_by_its_own_scale(unlike) -> None:
    """By the elements that are kept and by the sums of blocks, in which each element counts with its own budget."""
    _, truth, cases = unlike
    (spec,) = truth.signature.outputs
    case = next(each for each in cases if each.case.key == "random17")
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(30_000, 3)) * case.float64[spec.name].std(axis=0)
    sound = (exact * (1 + 3e-8 * rng.normal(size=exact.shape))).astype(np.float32)
    kept = reduced(exact, 1)
    big = replace(case, float32={spec.name: reduced(sound, 1, kept)}, float64={spec.name: kept}, noise={}, open={})
    assert judged(truth, big, sound).holds
    lost = sound.copy()
    lost[:, 0] = 0
    assert judged(truth, big, lost).feature == 0 or judged(truth, big, lost).fault
    assert not judged(truth, big, lost).holds
    outside = np.setdiff1d(np.arange(0, exact.size, 3), kept.places)
    spoilt = sound.copy()
    spoilt.reshape(-1)[outside[:2000]] = 0  # of the small feature alone, at places that are not kept
    assert not judged(truth, big, spoilt).holds
