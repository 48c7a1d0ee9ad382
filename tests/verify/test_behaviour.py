"""A file that follows a change of a weight otherwise than Keras is seen, though its answers are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pipeline.export.saved_model import export_saved_model
from pipeline.graph.unshare import unshare
from pipeline.records import Verdict
from pipeline.store import write_record
from pipeline.verify import onnx_half, savedmodel_half
from tests.zoo.subject import Subject, export

FOLLOWS = "follows each shared weight"


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    """One GRU called twice, whose three weights lie in three layouts."""
    found = export("gru_with_and_without_a_mask", tmp_path_factory.mktemp("sound"))
    assert isinstance(found, Subject)
    return found


def judged(subject: Subject, folder: Path, spoil: Callable[[onnx.ModelProto], None]) -> Verdict:
    """The verdict on the file with something changed in it."""
    proto = onnx.load(subject.path)
    spoil(proto)
    onnx.save(proto, folder / "model.onnx")
    for name in ("truth.json", "samples.npz"):
        (folder / name).write_bytes((subject.folder / name).read_bytes())
    return onnx_half.verify(folder / "model.onnx", folder)


def failed(verdict: Verdict) -> list[str]:
    """The names of the checks that failed."""
    return [check.name for check in verdict.checks if not check.passed]


def test_a_sound_file_follows_every_shared_weight(subject: Subject) -> None:
    """Through the weight map, whatever the layout."""
    found = next(check for check in subject.verdict.checks if FOLLOWS in check.name)
    assert (found.passed, found.detail) == (True, "3 weights, one after another")


def own_copy(proto: onnx.ModelProto) -> None:
    """The second call site reads a kernel of its own, equal to the shared one."""
    second = [node for node in proto.graph.node if node.op_type == "GRU"][1]
    kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == second.input[1])
    copy = onnx.TensorProto()
    copy.CopyFrom(kernel)
    copy.name = second.input[1] = "copy"
    proto.graph.initializer.append(copy)


def test_a_call_site_with_a_copy_of_its_own_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """Its answers are right, and only the structure and this check tell."""
    verdict = judged(subject, tmp_path, own_copy)
    assert f"onnx {FOLLOWS}" in failed(verdict)
    assert not [name for name in failed(verdict) if "within budget" in name]


def test_a_call_site_that_was_frozen_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """Or one of whose call sites was frozen: here the first keeps the recurrent kernel as it was."""

    def freeze(proto: onnx.ModelProto) -> None:
        first, second = (node for node in proto.graph.node if node.op_type == "GRU")
        kernel = next(tensor for tensor in proto.graph.initializer if tensor.name == second.input[2])
        constant = numpy_helper.from_array(numpy_helper.to_array(kernel).copy(), "frozen")
        proto.graph.initializer.append(constant)
        first.input[2] = "frozen"

    found = next(check for check in judged(subject, tmp_path, freeze).checks if FOLLOWS in check.name)
    assert not found.passed
    assert "recurrent_kernel" in found.detail


def test_a_saved_model_is_asked_of_its_variables(subject: Subject, tmp_path: Path) -> None:
    """A sound one follows."""
    export_saved_model(subject.model, subject.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", subject.folder)
    found = next(check for check in verdict.checks if FOLLOWS in check.name)
    assert (found.passed, found.detail) == (True, "3 weights, one after another")


def test_a_saved_model_of_two_variables_does_not_follow(subject: Subject, tmp_path: Path) -> None:
    """The unshared twin's: each call site reads a variable of its own, equal to the other's."""
    twin = unshare(subject.model)
    export_saved_model(twin, subject.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", subject.folder)
    assert f"saved_model {FOLLOWS}" in failed(verdict)
    assert not [name for name in failed(verdict) if "within budget" in name]


def test_two_weights_of_one_name_are_told_apart_by_their_values(tmp_path: Path) -> None:
    """A sound SavedModel of two layers of one name, whose variables bear one name too."""
    found = export("two_layers_of_one_name", tmp_path)
    assert isinstance(found, Subject)
    export_saved_model(found.model, found.truth.signature, tmp_path / "saved_model")
    verdict = savedmodel_half.verify(tmp_path / "saved_model", tmp_path)
    assert next(check.passed for check in verdict.checks if FOLLOWS in check.name)


def test_variables_that_nothing_tells_apart_are_said_to_be_in_doubt(subject: Subject, tmp_path: Path) -> None:
    """Neither their values nor their names are those of the weights that were frozen."""
    export_saved_model(subject.model, subject.truth.signature, tmp_path / "saved_model")
    unknown = subject.truth.model_copy(update={"weights": {}})
    write_record(tmp_path / "truth.json", unknown)
    (tmp_path / "samples.npz").write_bytes((subject.folder / "samples.npz").read_bytes())
    verdict = savedmodel_half.verify(tmp_path / "saved_model", tmp_path)
    assert not [check for check in verdict.checks if FOLLOWS in check.name]
    assert "saved_model follows each shared weight: it is in doubt which variable is which" in verdict.not_judged
