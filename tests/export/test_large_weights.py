"""Weights that no protobuf holds: inputs of the graph until it is converted, then a file of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import pipeline
from pipeline.errors import BadInput
from pipeline.export import large_weights, onnx_model
from pipeline.export.artifacts import write_artifacts
from pipeline.export.options import ExportOptions
from pipeline.oracle.freeze import freeze
from pipeline.verify import onnx_half
from tests.export.test_zoo import failures
from tests.sampling import sampled
from tests.zoo import ZOO, fill

ONNX_ONLY = pipeline.ExportOptions(formats=("onnx",))

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def tied() -> keras.Model:
    """An embedding whose table is the output's too, transposed, and a Dense that is called twice."""
    embedding, dense = layers.ReversibleEmbedding(40, 8), layers.Dense(8, name="dense")
    ids = keras.Input((5,), dtype="int32", name="ids")
    model = keras.Model(ids, embedding(ops.tanh(dense(dense(embedding(ids)))), reverse=True), name="tied")
    fill(model, 0)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """One model, so that its names stay."""
    return tied()


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> Path:
    """A bundle of a model for which both limits are far too low."""
    folder = tmp_path_factory.mktemp("large") / "tied"
    with pytest.MonkeyPatch.context() as lowered:
        lowered.setattr(large_weights, "MOST_BYTES", 0)
        lowered.setattr(large_weights, "LEAST_BYTES", 0)
        lowered.setattr(onnx_model, "LARGEST_FILE_BYTES", 0)
        pipeline.export_bundle(model, folder, options=ONNX_ONLY)
    return folder


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    """The bundle moved to another place."""
    return Path(shutil.copytree(bundle, tmp_path / "elsewhere"))


def test_the_weights_lie_in_one_file_that_the_manifest_hashes(model, bundle) -> None:
    """The ONNX file holds what is smaller than a line of its own, as biases."""
    manifest = pipeline.load_bundle(bundle).manifest
    assert {"model.onnx", "model.onnx.data"} <= set(manifest.files)
    assert manifest.files["model.onnx.data"].size <= 4 * model.count_params()
    for weight in model.weights:
        held = np.asarray(weight).tobytes()
        assert held in (bundle / ("model.onnx.data" if len(held) > 256 else "model.onnx")).read_bytes()
        assert held not in (bundle / ("model.onnx" if len(held) > 256 else "model.onnx.data")).read_bytes()


def test_every_weight_is_one_initializer_in_its_own_layout(model, bundle) -> None:
    """A transposed use reads the same one."""
    placements = pipeline.load_bundle(bundle).manifest.weight_map
    assert len({entry.initializer for entry in placements}) == len(model.weights)
    assert all(entry.blocks == () for entry in placements)


def test_a_moved_bundle_runs_and_passes(model, copy) -> None:
    """The file is found beside the ONNX file, wherever that is."""
    ids = np.arange(10, dtype=np.int32).reshape(2, 5)
    (answer,) = pipeline.load_bundle(copy).run({"ids": ids}).values()
    np.testing.assert_allclose(answer, model(ids), rtol=1e-4, atol=1e-5)
    verdict = pipeline.verify_bundle(copy)
    assert verdict.passed, str(verdict)
    assert sum(entry.size for entry in pipeline.stages.audit(copy / "model.onnx").initializers) > 4 * 40 * 8


def remove(data: Path) -> None:
    """The file is gone."""
    data.unlink()


def cut(data: Path) -> None:
    """The file is cut off."""
    data.write_bytes(data.read_bytes()[:-40])


def alter(data: Path) -> None:
    """One byte is another."""
    held = bytearray(data.read_bytes())
    held[17] ^= 1
    data.write_bytes(held)


@pytest.mark.parametrize(
    ("harm", "message"), [(remove, "missing"), (cut, "bytes, expected"), (alter, r"sha256 .*, expected")]
)
def test_a_harmed_file_is_one_line_and_a_failed_check(harm, message: str, copy) -> None:
    """Nothing is loaded from it."""
    harm(copy / "model.onnx.data")
    with pytest.raises(BadInput, match=rf"model\.onnx\.data is not what was exported \(.*{message}.*export the model"):
        pipeline.load_bundle(copy)
    verdict = pipeline.verify_bundle(copy)
    assert next(check.name for check in verdict.checks if not check.passed) == "file model.onnx.data"


def test_an_onnx_file_whose_weights_are_missing_does_not_pass(model, copy) -> None:
    """A fault of the file gives a verdict, never an exception."""
    assert pipeline.verify_onnx(copy / "model.onnx", model).passed
    remove(copy / "model.onnx.data")
    assert not pipeline.verify_onnx(copy / "model.onnx", model).passed
    with pytest.raises(BadInput, match="which is missing: put it beside the ONNX file"):
        pipeline.stages.audit(copy / "model.onnx")


@pytest.mark.parametrize(
    "name", sampled(["siamese_tower_with_dropout", "masked_encoder_decoder", "bidirectional_twice"], 3)
)
@pytest.mark.parametrize("least", sampled([0, 200], 2))
def test_models_convert_alike_with_their_weights_as_inputs(name: str, least: int, tmp_path, monkeypatch) -> None:
    """Convolutions, recurrent layers, all of their weights or only the larger ones."""
    monkeypatch.setattr(large_weights, "MOST_BYTES", 0)
    monkeypatch.setattr(large_weights, "LEAST_BYTES", least)
    model = ZOO[name]()
    truth = freeze(model, tmp_path, effort="quick")
    write_artifacts(model, truth.signature, {}, ExportOptions(formats=("onnx",)), tmp_path)
    assert failures(onnx_half.verify(tmp_path / "model.onnx", tmp_path)) == []
