"""The SavedModel and the Keras file beside the ONNX file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline import cases
from pipeline.errors import BadInput
from pipeline.export.keras_file import export_keras
from pipeline.export.options import ExportOptions
from pipeline.export.saved_model import export_saved_model, served_names
from pipeline.graph.flatten import flatten
from pipeline.truth.freeze import freeze
from pipeline.truth.signature import read_signature
from pipeline.verify import savedmodel_half
from tests.export.test_zoo import failures
from tests.zoo import ZOO

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


@pytest.mark.parametrize("name", ["masked_encoder_decoder", "nested_dicts", "separable_and_normalised", "static_batch"])
def test_the_saved_model_holds_against_frozen_truth(name: str, tmp_path) -> None:
    """Through tf.saved_model.load and through the session that servers use."""
    model = ZOO[name]()
    truth = freeze(model, tmp_path)
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


def test_a_keras_file_that_loses_sharing_is_left_out_with_the_reason(tmp_path) -> None:
    """Sharing inside wrappers is in no config."""
    model = ZOO["three_wrappers_of_one_network"]()
    signature = read_signature(model)
    feed = cases.generate(signature, 2, 0)
    reason = export_keras(model, flatten(model), signature, feed, tmp_path / "model.keras")
    assert reason is not None
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"opset": 12}, "opset 12 can't be written: choose 13 to 18"),
        ({"opset": 23}, "opset 23 can't be written"),
        ({"formats": ("onx",)}, "unknown format onx: choose among onnx, saved_model, keras"),
        ({"formats": ()}, r"unknown format \(none\)"),
        ({"batched": "always"}, "not available yet"),
    ],
)
def test_options_that_are_not_known_are_refused(choice: dict, message: str) -> None:
    """With what can be chosen."""
    with pytest.raises(BadInput, match=message):
        ExportOptions(**choice)
