"""What a failed verification leaves shows it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.errors import BadInput
from pipeline.records import Failure
from pipeline.store import read_record
from pipeline.verify.failure import leave_failure
from pipeline.verify.verdict import verify_directory
from tests.small_bundle import onnx_model, write_bundle

SEEN_AGAIN = "shared-layers verify exported/views --model views.py:build"


def wrong() -> onnx.ModelProto:
    """A difference in place of the sum."""
    model = onnx_model()
    next(node for node in model.graph.node if node.op_type == "Add").op_type = "Sub"
    return model


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A bundle whose ONNX file computes something else."""
    return write_bundle(tmp_path / "views", wrong())


def test_inputs_both_answers_versions_and_a_command_are_there(bundle: Path, tmp_path) -> None:
    """The arrays are those of the case that tells most."""
    folder = leave_failure(tmp_path / "failures", "views", verify_directory(bundle), bundle, SEEN_AGAIN)
    failure = read_record(folder / "failure.json", Failure)
    assert failure.command == SEEN_AGAIN
    assert f"to see it again: {SEEN_AGAIN}" in (folder / "verdict.txt").read_text()
    assert {"onnxruntime", "numpy"} <= set(failure.versions)
    inputs, keras, exact, onnx_ = (
        dict(np.load(folder / f"{name}.npz")) for name in ("inputs", "keras_float32", "keras_float64", "onnx")
    )
    assert set(inputs) == {"left", "right"}
    assert np.allclose(keras["joined"], exact["joined"])
    assert np.abs(onnx_["joined"] - keras["joined"]).max() > 1e-3
    assert np.array_equal(onnx_["is_larger"], keras["is_larger"])
    assert "FAIL onnx output 'joined'" in (folder / "verdict.txt").read_text()


def test_what_was_never_published_is_copied(bundle: Path, tmp_path) -> None:
    """The command names the copy, and gives the same verdict."""
    verdict = verify_directory(bundle)
    folder = leave_failure(tmp_path / "failures", "views", verdict, bundle)
    again = verify_directory(folder / "bundle")
    assert [check.name for check in again.checks if not check.passed] == [
        check.name for check in verdict.checks if not check.passed
    ]
    assert json.loads((folder / "failure.json").read_text())["command"].endswith(str(folder / "bundle"))


def test_two_failures_of_one_second_are_two_folders(bundle: Path, tmp_path) -> None:
    """Nothing is overwritten."""
    verdict = verify_directory(bundle)
    folders = {leave_failure(tmp_path / "failures", "views", verdict, bundle, SEEN_AGAIN) for _ in range(3)}
    assert len(folders) == 3


def test_a_bundle_without_truth_leaves_its_verdict(bundle: Path, tmp_path) -> None:
    """There is no case to show then."""
    (bundle / "samples.npz").unlink()
    folder = leave_failure(tmp_path / "failures", "views", verify_directory(bundle), bundle, SEEN_AGAIN)
    assert sorted(path.name for path in folder.iterdir()) == ["failure.json", "verdict.txt"]


def test_a_place_that_can_not_be_written_is_one_line(bundle: Path, tmp_path) -> None:
    """A file is in the way."""
    (tmp_path / "failures").write_text("")
    with pytest.raises(BadInput, match="failures"):
        leave_failure(tmp_path / "failures", "views", verify_directory(bundle), bundle, SEEN_AGAIN)
