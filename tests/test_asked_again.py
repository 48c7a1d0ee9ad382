"""`verify --model`: the model is asked again about each artifact that a bundle holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from keras import layers

from pipeline import ExportOptions, bundle, export_bundle, verify_bundle
from pipeline.budget_rule import derived
from pipeline.bundle import read_manifest, write_manifest
from pipeline.records import Budget
from pipeline.store import digests

NOISE = 0.045  # below what a manifest may claim


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A Dense called twice, and one behind it whose weights scale the answers."""
    x, shared = keras.Input((4,), name="x"), layers.Dense(4, activation="tanh", bias_initializer="normal")
    return keras.Model(x, layers.Dense(3, name="y", bias_initializer="normal")(shared(shared(x))))


@pytest.fixture(scope="module")
def published(model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without an ONNX file."""
    folder = tmp_path_factory.mktemp("bundles") / "m"
    export_bundle(model, folder, options=ExportOptions(formats=("saved_model", "keras"), effort="quick"))
    return folder


def scaled(saved_model: Path, by: float) -> None:
    """The SavedModel of which the last layer's weights are another's, and so its answers."""
    loaded = tf.saved_model.load(str(saved_model))
    signatures = dict(loaded.signatures)
    for variable in signatures["serving_default"].variables:
        if variable.name.startswith("y/"):
            variable.assign(variable * by)
    other = saved_model.with_name("other")
    tf.saved_model.save(loaded, str(other), signatures=signatures)
    shutil.rmtree(saved_model)
    other.rename(saved_model)


def with_noise(budget: Budget, dtype: str) -> Budget:
    """As the rule has it for more noise."""
    relative = derived("", "", dtype, (budget.keras, NOISE), 0.0).relative
    return budget.model_copy(update={"noise": NOISE, "relative": relative})


def resealed(folder: Path) -> None:
    """The manifest made to agree with what lies there, with more noise."""
    manifest = read_manifest(folder)
    (folder / bundle.MANIFEST).unlink()
    budgets = tuple(with_noise(each, "float32") if each.rule == "derived" else each for each in manifest.truth.budgets)
    truth = manifest.truth.model_copy(update={"budgets": budgets})
    write_manifest(folder, manifest.model_copy(update={"truth": truth, "files": digests(folder)}))


def without(folder: Path, *names: str) -> None:
    """The bundle as it is exported without some formats."""
    manifest = read_manifest(folder)
    (folder / bundle.MANIFEST).unlink()
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    left_out = {**manifest.left_out, **dict.fromkeys(names, "not among the formats asked for")}
    write_manifest(folder, manifest.model_copy(update={"left_out": left_out, "files": digests(folder)}))


def test_a_saved_model_that_noise_excuses_fails_against_the_model(model, published, tmp_path) -> None:
    """Four per cent off: by the bundle's own truth it passes. That there is no ONNX file is no fault."""
    folder = tmp_path / "m"
    shutil.copytree(published, folder)
    scaled(folder / bundle.SAVED_MODEL, 1.04)
    resealed(folder)
    verdict = verify_bundle(folder, model)
    told = [check.passed for check in verdict.checks if check.name == "saved_model output 'y' within budget"]
    assert told == [True, False]
    assert all(check.name.startswith("saved_model") for check in verdict.checks if not check.passed)


def test_a_bundle_of_a_keras_file_alone_is_asked_through_that_file(model, published, tmp_path) -> None:
    """Nothing else is there to be judged."""
    folder = tmp_path / "m"
    shutil.copytree(published, folder)
    without(folder, bundle.SAVED_MODEL)
    verdict = verify_bundle(folder, model)
    assert verdict.passed, verdict
    assert any("model.keras" in check.name for check in verdict.checks)
    assert not any(line.startswith("model.keras: ") for line in verdict.not_judged)
