"""A bundle without an ONNX file, against a model that is at hand: what is there is judged."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from keras import layers

from pipeline import stages
from pipeline.export.options import ExportOptions

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def twice(bias: float = 0.0) -> keras.Model:
    """A shared layer, with a bias that tells one model from another."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    dense = layers.Dense(4, activation="tanh", bias_initializer=keras.initializers.Constant(bias), name="shared")
    return keras.Model(x, dense(dense(x)), name="own")


def exported(folder: Path, format_: str) -> Path:
    """A bundle with one artifact."""
    stages.export_bundle(twice(), folder / "own", options=ExportOptions(formats=(format_,), effort="quick"))
    return folder / "own"


@pytest.mark.matrix
@pytest.mark.parametrize("artifact", ["keras", "saved_model"])
def test_a_bundle_without_an_onnx_file_is_judged_by_what_is_there(tmp_path, monkeypatch, artifact: str) -> None:
    """It follows the model that it was made from, and no other."""
    monkeypatch.chdir(tmp_path)
    bundle = exported(tmp_path, artifact)
    name = f"{artifact} output 'shared' within budget"
    own = stages.verify_bundle(bundle, twice())
    assert own.passed
    assert name in [check.name for check in own.checks]
    other = stages.verify_bundle(bundle, twice(bias=0.5))
    assert not other.passed
    assert name in [check.name for check in other.checks if not check.passed]
