"""Bundles that were written before there was a plan are read after."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import pipeline
from pipeline.errors import BadInput
from tests.zoo import fill

_NEW_OF_TRUTH = ("plan", "shared", "not_judged", "not_asked")
_NEW_OF_CASES = ("weights", "random_seed", "random_gain")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, its manifest rewritten as format 1 has it: no plan, no weights that are moved together."""
    shared, a, b = layers.Dense(3, name="shared"), keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], shared(a) - shared(b))
    fill(model, 0)
    folder = tmp_path_factory.mktemp("old") / "bundle"
    pipeline.export_bundle(model, folder, options=pipeline.ExportOptions(formats=("onnx",), effort="quick"))
    manifest = json.loads((folder / "manifest.json").read_text())
    write_sealed(folder, as_format_one(manifest))
    return folder


def as_format_one(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without what format 2 has."""
    truth = manifest["truth"]
    for name in _NEW_OF_TRUTH:
        truth.pop(name, None)
    truth["cases"] = [case for case in truth["cases"] if not case.get("weights")]
    kinds = {case["kind"] for case in truth["cases"]}
    truth["budgets"] = [budget for budget in truth["budgets"] if budget["kind"] in kinds]
    for case in truth["cases"]:
        for name in _NEW_OF_CASES:
            case.pop(name, None)
    return {**manifest, "format": 1, "truth": {**truth, "format": 1}}


def write_sealed(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with its seal."""
    text = json.dumps({**manifest, "seal": "0" * 64}, indent=1) + "\n"
    sealed = text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest())
    (folder / "manifest.json").write_text(sealed)


def test_a_bundle_of_format_one_is_run_and_judged(old: Path) -> None:
    """By what it holds: it never said what it would ask."""
    rows = np.ones((2, 4), np.float32)
    (answer,) = pipeline.load_bundle(old).run({"a": rows, "b": rows}).values()
    assert np.abs(answer).max() < 1e-6
    verdict = pipeline.verify_bundle(old)
    assert verdict.passed, str(verdict)
    assert verdict.effort == ""
    assert any(line.startswith("format 1: ") and "not checked" in line for line in verdict.not_judged)


def test_a_format_that_nobody_knows_is_refused(old: Path, tmp_path: Path) -> None:
    """In one line."""
    manifest = json.loads((old / "manifest.json").read_text())
    write_sealed(tmp_path, {**manifest, "format": 3})
    with pytest.raises(BadInput, match="is not a Manifest this version reads: format"):
        pipeline.load_bundle(tmp_path)
