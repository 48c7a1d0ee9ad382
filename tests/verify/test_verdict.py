import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from pipeline import bundle
from pipeline.errors import BadInput
from pipeline.records import Plan, Verdict
from pipeline.verify import verdict
from pipeline.verify.render import figures_table
from pipeline.verify.verdict import verify_by, verify_directory, verify_file
from pipeline.version import WHEEL
from tests.small_bundle import KERNEL, onnx_model, write_bundle, write_manifest, write_truth


def failed(verdict: Verdict) -> dict[str, str]:
    """Names and details of the checks that fail."""
    return {check.name: check.detail for check in verdict.checks if not check.passed}


def judged(tmp_path, model) -> Verdict:
    """The verdict on a model against the frozen truth of the right one."""
    write_truth(tmp_path / "truth")
    onnx.save(model, tmp_path / "candidate.onnx")
    return verify_file(tmp_path / "candidate.onnx", tmp_path / "truth")


# --- a bundle


def test_a_whole_bundle_passes_and_prints_its_figures(tmp_path):
    """Plain text by `print`, a table for the command line."""
    verdict = verify_directory(write_bundle(tmp_path / "views"))
    assert verdict.passed, verdict
    assert {(figure.output, figure.batch) for figure in verdict.parity} == {
        *(("joined", 1), ("joined", 3)),
        *(("is_larger", 1), ("is_larger", 3)),
    }
    assert "onnx joined batch 3: error" in str(verdict)
    console = Console(width=80, record=True)
    console.print(figures_table(verdict))
    printed = console.export_text()
    assert {"'joined'", "'is_larger'", "derived", "equal"} <= set(printed.replace(":", " ").split())
    assert "…" not in printed, "a terminal of 80 columns shows every figure whole"


def test_by_several_truths_each_has_a_verdict_of_its_own(tmp_path):
    """One that can't be read is no fault of the bundle's, and a bundle's files are judged by its own alone."""
    folder = write_bundle(tmp_path / "views")
    write_truth(tmp_path / "truth")
    (tmp_path / "none").mkdir()
    own, other, none = verify_by(folder, (tmp_path / "truth", tmp_path / "none"))
    assert own.passed, own
    assert other.passed, other
    assert "file model.onnx" in {check.name for check in own.checks} - {check.name for check in other.checks}
    assert list(failed(none)) == ["frozen truth"]


@pytest.mark.parametrize("name", ["model.onnx", "samples.npz", "README.md", "manifest.json"])
def test_a_flipped_byte_in_any_file_fails(tmp_path, name):
    """A verdict that failed, not an exception: exit status 1."""
    folder = write_bundle(tmp_path / "views")
    whole = (folder / name).read_bytes()
    middle = len(whole) // 2
    (folder / name).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert not verify_directory(folder).passed


def test_a_bundle_that_lacks_a_named_file_or_holds_another_fails(tmp_path):
    """Missing and extra files, each by name."""
    folder = write_bundle(tmp_path / "views")
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("")
    found = failed(verify_directory(folder))
    assert found["file README.md"] == "missing"
    assert found["no other files"] == "not in the manifest: notes.txt"


def test_an_artifact_that_is_neither_there_nor_left_out_fails(tmp_path):
    """A bundle can't pass by leaving out what would fail."""
    folder = write_bundle(tmp_path / "views")
    (folder / "model.onnx").unlink()
    manifest = bundle.read_manifest(folder)
    files = {name: digest for name, digest in manifest.files.items() if name != "model.onnx"}
    bundle.write_manifest(folder, manifest.model_copy(update={"files": files}))
    assert "model.onnx" in failed(verify_directory(folder))["every artifact is there"]


def test_a_weight_map_that_leaves_weights_out_fails(tmp_path):
    """Every parameter has a place, or a reason to have none."""
    folder = write_bundle(tmp_path / "views", onnx_model(weight_map=None))
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, manifest.model_copy(update={"weight_map": manifest.weight_map[:1]}))
    assert failed(verify_directory(folder)) == {"the weight map covers every parameter": "12 of 15 parameters"}


def test_a_bundle_without_an_onnx_file_needs_no_weight_map(tmp_path):
    """`--formats saved_model` leaves it out."""
    folder = write_bundle(tmp_path / "views")
    (folder / "model.onnx").unlink()
    manifest = bundle.read_manifest(folder)
    changes = {
        "files": {name: digest for name, digest in manifest.files.items() if name != "model.onnx"},
        "left_out": {**manifest.left_out, "model.onnx": "not among the formats asked for"},
        "weight_map": (),
    }
    bundle.write_manifest(folder, manifest.model_copy(update=changes))
    assert failed(verify_directory(folder)) == {}


def test_weights_that_no_node_reads_stand_in_the_manifest_alone(tmp_path):
    """The ONNX file can't hold them, and its map does not list them."""
    folder = write_bundle(tmp_path / "views")
    manifest = bundle.read_manifest(folder)
    unread = manifest.weight_map[0].model_copy(update={"weight": "unread/kernel", "initializer": None})
    parameters = manifest.parameters.model_copy(update={"stored": 27})
    changes = {"weight_map": (*manifest.weight_map, unread), "parameters": parameters}
    bundle.write_manifest(folder, manifest.model_copy(update=changes))
    assert failed(verify_directory(folder)) == {}


def test_a_signature_other_than_the_frozen_one_fails(tmp_path):
    """Callers go by the manifest's, the verdict by the frozen one: they must be one."""
    folder = write_bundle(tmp_path / "views")
    manifest = bundle.read_manifest(folder)
    signature = manifest.signature.model_copy(update={"outputs": manifest.signature.outputs[::-1]})
    bundle.write_manifest(folder, manifest.model_copy(update={"signature": signature}))
    assert list(failed(verify_directory(folder))) == ["the manifest's signature is the frozen one"]


def test_a_weight_map_in_the_file_other_than_the_manifests_fails(tmp_path):
    """Both fit the file; which call sites read a weight is told once."""
    folder = write_bundle(tmp_path / "views")
    manifest = bundle.read_manifest(folder)
    moved = tuple(placement.model_copy(update={"call_sites": ()}) for placement in manifest.weight_map)
    bundle.write_manifest(folder, manifest.model_copy(update={"weight_map": moved}))
    assert failed(verify_directory(folder)) == {"weight map": "the ONNX file's metadata and the manifest disagree"}


def test_a_savedmodel_without_tensorflow_is_not_judged_and_that_is_said(tmp_path, monkeypatch):
    """Who deploys a bundle can repeat all the rest of the verdict."""
    folder = write_bundle(tmp_path / "views")
    (folder / "saved_model").mkdir()
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"")
    write_manifest(folder, bundle.read_truth(folder))
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    verdict = verify_directory(folder)
    assert verdict.passed
    assert verdict.not_judged[0] == f"saved_model: needs TensorFlow (pip install '{WHEEL}[train]')"
    assert "not judged: saved_model" in str(verdict)


def test_a_folder_that_is_no_bundle_is_bad_input(tmp_path):
    """There is nothing to judge."""
    with pytest.raises(BadInput, match="is not a bundle"):
        verify_directory(tmp_path)


# --- any ONNX file


def test_an_onnx_file_with_its_truth_beside_it_passes(tmp_path):
    """Hashes aside."""
    assert judged(tmp_path, onnx_model()).passed


def test_a_weight_changed_by_one_percent_fails(tmp_path):
    """By the figures, with the output named."""
    model = onnx_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(KERNEL * 1.01, "dense/kernel"))
    verdict = judged(tmp_path, model)
    assert "onnx output 'joined' within budget" in failed(verdict)
    assert any(figure.largest_absolute > figure.budget for figure in verdict.parity)


def test_swapped_outputs_fail(tmp_path):
    """The order is part of the interface, even if each output is right."""
    model = onnx_model()
    model.graph.output.reverse()
    assert list(failed(judged(tmp_path, model))) == ["onnx outputs bear Keras' names, shapes and dtypes"]


def test_inputs_that_changed_roles_fail(tmp_path):
    """Same names, order, shapes and dtypes; only the values tell."""
    model = onnx_model()
    model.graph.node[0].input[0], model.graph.node[1].input[0] = "right", "left"
    assert list(failed(judged(tmp_path, model))) == ["onnx output 'is_larger' within budget"]


def test_a_nan_fails(tmp_path):
    """A NaN error is smaller than no budget."""
    model = onnx_model()
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full(3, np.nan, np.float32), "dense/bias"))
    verdict = judged(tmp_path, model)
    assert "NaN at 3 places, the reference at 0" in failed(verdict)["onnx output 'joined' within budget"]


@pytest.mark.parametrize("axes", [("other", 4), (None, 4), (3, 4)])
def test_an_input_whose_batch_axis_is_not_called_batch_fails(tmp_path, axes):
    """Another name, none, or a fixed size."""
    model = onnx_model()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("left", TensorProto.FLOAT, axes))
    assert "onnx inputs bear Keras' names, shapes and dtypes" in failed(judged(tmp_path, model))


def test_a_wrong_input_name_fails_without_an_exception(tmp_path):
    """Nothing can be fed then."""
    model = onnx_model()
    model.graph.input[0].name = "LEFT"
    model.graph.node[0].input[0] = "LEFT"
    found = failed(judged(tmp_path, model))
    assert "onnx runs every case" in found
    assert "LEFT: float32(batch, 4)" in found["onnx inputs bear Keras' names, shapes and dtypes"]


def test_an_operator_that_no_runtime_has_is_listed(tmp_path):
    """By domain and name; the file does not load either."""
    model = onnx_model()
    model.graph.node.append(helper.make_node("Nonsense", ["left"], ["z"], domain="own"))
    model.opset_import.append(helper.make_opsetid("own", 1))
    found = failed(judged(tmp_path, model))
    assert found["operators are known"] == "defined nowhere: own.Nonsense"
    assert "onnxruntime loads it" in found


def test_a_graph_that_the_checker_refuses_fails(tmp_path):
    """A node reads what nobody gives."""
    model = onnx_model()
    model.graph.node[2].input[1] = "nowhere"
    assert "onnx checker" in failed(judged(tmp_path, model))


@pytest.mark.parametrize("content", [None, b"", b"not ONNX", b"\x08\x07"])
def test_a_file_that_is_no_onnx_or_is_not_there_fails_without_an_exception(tmp_path, content):
    """Whatever is wrong with the file is a failed check."""
    write_truth(tmp_path / "truth")
    path = tmp_path / "candidate.onnx"
    if content is not None:
        path.write_bytes(content)
    assert "the file is ONNX" in failed(verify_file(path, tmp_path / "truth"))


def test_a_truncated_onnx_file_fails_without_an_exception(tmp_path):
    """At any length."""
    write_truth(tmp_path / "truth")
    whole = onnx_model().SerializeToString()
    path = tmp_path / "candidate.onnx"
    for length in (10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        assert not verify_file(path, tmp_path / "truth").passed


def test_an_empty_or_missing_truth_fails(tmp_path):
    """A file can't pass because nothing was asked."""
    onnx.save(onnx_model(), tmp_path / "candidate.onnx")
    write_truth(tmp_path / "empty", batches=())
    for folder in ("empty", "missing"):
        assert "frozen truth" in failed(verify_file(tmp_path / "candidate.onnx", tmp_path / folder))


def aborting_model() -> onnx.ModelProto:
    """The model, and beside it an LSTM that is given no rows: onnxruntime 1.32 aborts the process on it."""
    rng = np.random.default_rng(0)
    weights = {"none": np.zeros(1, np.bool_), "W": rng.standard_normal((1, 8, 4)), "R": rng.standard_normal((1, 8, 2))}
    model = onnx_model()
    model.graph.node.extend(
        [
            helper.make_node("Compress", ["left", "none"], ["no_rows"], axis=0),
            helper.make_node("Unsqueeze", ["no_rows", "first"], ["sequence"]),
            helper.make_node("LSTM", ["sequence", "W", "R"], ["lost"], hidden_size=2),
            helper.make_node("ReduceSum", ["lost"], ["zero"], keepdims=0),
        ]
    )
    model.graph.node[2].CopyFrom(helper.make_node("Add", ["a", "b"], ["sum"]))
    model.graph.node.append(helper.make_node("Add", ["sum", "zero"], ["joined"]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), "first"))
    for name, values in weights.items():
        kind = np.bool_ if name == "none" else np.float32
        model.graph.initializer.append(numpy_helper.from_array(values.astype(kind), name))
    return model


def test_a_runtime_that_dies_of_a_signal_is_a_failed_check(tmp_path):
    """With the signal's name and what was being done; this process lives on."""
    found = failed(judged(tmp_path, aborting_model()))
    assert found == {"onnxruntime stays alive": "killed by SIGABRT while running inputs of shapes (1, 4), (1, 4)"}


@pytest.mark.parametrize("location", ["missing.data", "../outside.data"])
def test_weights_that_lie_elsewhere_are_a_failed_check(tmp_path, location):
    """Not a half that ends with a traceback."""
    model = onnx_model()
    del model.metadata_props[:]  # without a map every tensor is read
    (tmp_path / "outside.data").write_bytes(bytes(4096))
    tensor = max(model.graph.initializer, key=lambda each: len(numpy_helper.to_array(each).tobytes()))
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    write_truth(tmp_path / "bundle" / "truth")
    (tmp_path / "bundle" / "candidate.onnx").write_bytes(model.SerializeToString())
    found = failed(verify_file(tmp_path / "bundle" / "candidate.onnx", tmp_path / "bundle" / "truth"))
    assert "onnxruntime stays alive" not in found
    assert f"the elements of tensor {tensor.name!r} can't be read" in found["weight map"]


def test_a_half_that_takes_too_long_is_a_failed_check(tmp_path):
    """Its process is gone then."""
    write_truth(tmp_path / "truth")
    onnx.save(onnx_model(), tmp_path / "candidate.onnx")
    found = failed(verify_file(tmp_path / "candidate.onnx", tmp_path / "truth", limit_s=0.01))
    assert found["onnxruntime stays alive"].startswith("no answer within 0.01 s")


@pytest.mark.parametrize(("cost", "limit_s"), [(0.5, 600.0), (50.0, 5120.0), (1e9, 86_400.0)])
def test_a_half_has_the_time_that_the_plan_counts(tmp_path, monkeypatch, cost, limit_s):
    """Never less than loading takes, nor more than a day: for each of two truths as much as its own plan says."""
    folder = write_bundle(tmp_path / "views")
    size = {"operations": 1.0, "elements": 1.0, "row_bytes": 1, "cost": cost}
    plan = Plan(effort="thorough", batches=(1, 3), kind_batch=3, round_batch=3, rounds=0, shared=0, **size)
    write_manifest(folder, bundle.read_truth(folder).model_copy(update={"plan": plan}))
    write_truth(tmp_path / "truth")
    given = []

    def ask(questions, limit_s, waiting):
        given.append(limit_s)
        return [tuple(Verdict(subject="", checks=()) for _ in each.truth_folders) for each in questions]

    monkeypatch.setattr(verdict, "ask", ask)
    verify_by(folder, (tmp_path / "truth",))
    assert given == [limit_s + 600.0]
