"""A model that runs on real rows alone, which may not be published."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from typer.testing import CliRunner

from pipeline import ExportOptions, export_bundle, load_bundle, verify_bundle
from pipeline.cli import app
from pipeline.errors import BadInput
from pipeline.oracle.freeze import freeze


def of_real_rows() -> keras.Model:
    """Two free axes, of which no size that is drawn is the 911 that the model takes."""
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    shared = layers.Dense(2, bias_initializer="normal")
    scores = ops.matmul(shared(a), ops.transpose(shared(b), (0, 2, 1)))
    return keras.Model([a, b], ops.sum(scores + ops.ones((1, 7, 911)), axis=2), name="pairs")


def rows(count: int, long: int = 911) -> dict[str, np.ndarray]:
    """Rows that it runs on."""
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(count, size, 2)).astype(np.float32) for name, size in (("a", 7), ("b", long))}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """One model: names and weights are those of the bundle."""
    return of_real_rows()


@pytest.fixture(scope="module")
def place(model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of an export; the bundle lies in `m`."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = ExportOptions(formats=("onnx",), effort="quick", samples=rows(3))
        export_bundle(model, "m", options=options)
    return folder


def test_no_real_row_is_in_the_bundle_and_the_truth_stays_under_build(place) -> None:
    """The manifest says so, and has the digest of what stays."""
    bundle = load_bundle(place / "m")
    assert "real rows" in bundle.manifest.left_out["samples.npz"]
    assert "the model does not run on inputs drawn" in bundle.manifest.truth.not_asked["random"]
    assert "only ones that the model runs on" in (place / "m" / "README.md").read_text()
    assert sorted(path.name for path in (place / "m").iterdir()) == ["README.md", "manifest.json", "model.onnx"]
    kept = place / "build" / "pairs" / "shared" / "real"
    assert sorted(path.name for path in kept.iterdir()) == ["samples.npz", "truth.json"]
    assert bundle.run(rows(2))


def test_the_bundle_is_judged_by_what_stays_and_by_nothing_less(place) -> None:
    """Without it the verdict fails in words: nothing passes unasked."""
    kept = place / "build" / "pairs" / "shared" / "real"
    verdict = verify_bundle(place / "m", truth=kept)
    assert verdict.passed, verdict
    assert any(check.name == "onnx follows each shared weight" for check in verdict.checks)
    said = CliRunner().invoke(app, ["verify", str(place / "m"), "--truth", str(kept), "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)
    failed = {check.name: check.detail for check in verify_bundle(place / "m").checks if not check.passed}
    assert "give its folder (--truth FOLDER)" in failed["the frozen truth is at hand"]


def test_the_model_is_asked_again_on_the_same_rows(model, place) -> None:
    """Nothing else would run."""
    verdict = verify_bundle(place / "m", model, truth=place / "build" / "pairs" / "shared" / "real")
    assert verdict.passed, verdict
    assert len([check for check in verdict.checks if check.name == "frozen truth"]) == 2


@pytest.mark.parametrize("is_all", [True, False])
def test_where_it_can_not_stay_a_bundle_is_refused_only_if_it_holds_no_truth(
    model, tmp_path, monkeypatch, is_all: bool
) -> None:
    """A file is in the way of `build/`; a bundle with drawn rows is published, and what is lost is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").write_text("in the way")
    x = keras.Input((4,), name="x")
    exported, samples = model, rows(2)
    if not is_all:
        exported, samples = keras.Model(x, layers.Dense(2)(x)), {"x": np.ones((2, 4), np.float32)}
    options = ExportOptions(formats=("onnx",), effort="quick", samples=samples)
    expected = (
        pytest.raises(BadInput, match="build") if is_all else pytest.warns(UserWarning, match="is not kept: .*build")
    )
    with expected:
        export_bundle(exported, tmp_path / "m", options=options)
    assert (tmp_path / "m").exists() != is_all


def test_samples_that_do_not_run_are_blamed_beside_drawn_inputs(tmp_path) -> None:
    """With what the model said to them."""
    with pytest.raises(BadInput, match=r"inputs drawn from.*; nor does it run on the samples: .*912.*; give samples"):
        freeze(of_real_rows(), tmp_path, rows(2, long=912), effort="quick")
