"""Faults in a bundle on disk, each a function that changes a folder in place and says whether it could."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline import bundle
from pipeline import cases as drawing
from pipeline.budget_rule import derived
from pipeline.bundle import read_manifest, write_manifest
from pipeline.store import digest
from tests.faults import onnx_faults

Fault = Callable[[Path], bool]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Register a fault under its name, in words."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def resealed(folder: Path, *changed: str) -> None:
    """The manifest made to agree with changed files, seal included: as somebody would who means it."""
    manifest = read_manifest(folder)
    files = {**manifest.files, **{name: digest(folder / name) for name in changed}}
    (folder / bundle.MANIFEST).unlink()
    write_manifest(folder, manifest.model_copy(update={"files": files}))


@fault
def a_flipped_bit(folder: Path) -> bool:
    """In the middle of the ONNX file."""
    path = folder / bundle.ONNX_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    return True


@fault
def a_truncated_file(folder: Path) -> bool:
    """The ONNX file's last hundredth is missing."""
    path = folder / bundle.ONNX_FILE
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 99 // 100])
    return True


@fault
def a_truncated_file_resealed(folder: Path) -> bool:
    """And the manifest agrees with it."""
    a_truncated_file(folder)
    resealed(folder, bundle.ONNX_FILE)
    return True


@fault
def a_manifest_that_disagrees_with_the_files(folder: Path) -> bool:
    """Another opset is claimed, the seal is as it was."""
    path = folder / bundle.MANIFEST
    text = path.read_text()
    path.write_text(text.replace('"opset": 18', '"opset": 17').replace('"opset":18', '"opset":17'))
    return path.read_text() != text


@fault
def a_resealed_manifest_with_another_opset(folder: Path) -> bool:
    """The seal agrees; the file does not."""
    manifest = read_manifest(folder)
    (folder / bundle.MANIFEST).unlink()
    write_manifest(folder, manifest.model_copy(update={"opset": 17}))
    return True


@fault
def a_resealed_manifest_with_wider_budgets(folder: Path) -> bool:
    """Everything is allowed."""
    manifest = read_manifest(folder)
    wide = tuple(each.model_copy(update={"relative": 1.0}) for each in manifest.truth.budgets)
    if not wide:
        return False
    (folder / bundle.MANIFEST).unlink()
    truth = manifest.truth.model_copy(update={"budgets": wide})
    write_manifest(folder, manifest.model_copy(update={"truth": truth}))
    return True


@fault
def a_resealed_manifest_with_stated_budgets(folder: Path) -> bool:
    """Everything is allowed, by the other rule."""
    truth = read_manifest(folder).truth
    wide = tuple(each.model_copy(update={"rule": "stated", "absolute": 1e9}) for each in truth.budgets)
    return _with_truth(folder, {"budgets": wide}) if wide else False


@fault
def a_resealed_manifest_that_denies_the_float64_reference(folder: Path) -> bool:
    """And states what is stated for the coarsest precision."""
    truth = read_manifest(folder).truth
    if truth.no_float64 is not None:
        return False
    of_halves = {"rule": "stated", "absolute": 1e-6, "relative": 1e-1}
    wide = tuple(each.model_copy(update=of_halves) for each in truth.budgets)
    return _with_truth(folder, {"budgets": wide, "no_float64": "a custom layer"}) if wide else False


@fault
def a_resealed_bundle_without_float64_answers_and_with_bfloat16s_budgets(folder: Path) -> bool:
    """Stated for a precision that nothing in the bundle computes in."""
    return _without_float64(folder, "layer 'own' can't be made anew", relative=1e-1)


@fault
def a_resealed_bundle_without_float64_answers_because_of_its_size(folder: Path) -> bool:
    """A small one."""
    return _without_float64(folder, "its 600,000,000 weights would take 4.5 GiB in float64", relative=1e-4)


def _without_float64(folder: Path, reason: str, relative: float) -> bool:
    truth = read_manifest(folder).truth
    if truth.no_float64 is not None or not truth.budgets:
        return False
    path = folder / bundle.SAMPLES
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    np.savez_compressed(path, **{key: each for key, each in arrays.items() if key.split("/")[1][:3] in ("in", "f32")})
    stated = {"rule": "stated", "absolute": 1e-6, "relative": relative, "keras": float("nan"), "noise": float("nan")}
    budgets = tuple(each.model_copy(update=stated) for each in truth.budgets)
    return _with_truth(folder, {"budgets": budgets, "no_float64": reason})


@fault
def a_resealed_manifest_with_more_noise(folder: Path) -> bool:
    """Budgets follow from it as the rule says."""
    truth = read_manifest(folder).truth
    dtypes = {spec.name: spec.dtype for spec in truth.signature.outputs}
    noisy = tuple(
        each.model_copy(update={"noise": 1.0, "relative": _relative(dtypes[each.output], each.keras, 1.0)})
        for each in truth.budgets
        if each.rule == "derived"
    )
    return _with_truth(folder, {"budgets": noisy}) if noisy else False


@fault
def a_resealed_manifest_without_a_kind_of_cases(folder: Path) -> bool:
    """The one that tells, perhaps."""
    truth = read_manifest(folder).truth
    kind = next((case.kind for case in truth.cases if case.kind in drawing.kinds(truth.signature)[1:]), None)
    left = tuple(case for case in truth.cases if case.kind != kind)
    budgets = tuple(each for each in truth.budgets if each.kind != kind)
    return _with_truth(folder, {"cases": left, "budgets": budgets}) if kind is not None else False


@fault
def a_resealed_manifest_whose_truth_is_of_format_1(folder: Path) -> bool:
    """Of which nobody may say what it should hold: one case is left."""
    truth = read_manifest(folder).truth
    left = tuple(case for case in truth.cases if case.kind == drawing.RANDOM and not case.is_moved)[:1]
    budgets = tuple(each for each in truth.budgets if each.kind == drawing.RANDOM)
    old = {"format": 1, "plan": None, "shared": (), "not_asked": {}, "cases": left, "budgets": budgets}
    return _with_truth(folder, old) if left else False


@fault
def a_resealed_manifest_with_the_round_of_all_alone(folder: Path) -> bool:
    """Two weights that were merged would follow it."""
    truth = read_manifest(folder).truth
    rounds = [case.key for case in truth.cases if case.weights]
    return _without_cases(folder, rounds[:-1])


@fault
def a_resealed_manifest_planned_with_the_round_of_all_alone(folder: Path) -> bool:
    """And the plan asks for no more."""
    truth = read_manifest(folder).truth
    rounds = [case for case in truth.cases if case.weights]
    if len(rounds) < 2 or truth.plan is None:
        return False
    last = rounds[-1].model_copy(update={"kind": rounds[0].kind})
    kinds = {case.kind for case in rounds[1:]}
    budgets = tuple(
        each.model_copy(update={"kind": rounds[0].kind}) if each.kind == rounds[-1].kind else each
        for each in truth.budgets
        if each.kind not in kinds | {rounds[0].kind} or each.kind == rounds[-1].kind
    )
    cases = (*(case for case in truth.cases if not case.weights), last)
    plan = truth.plan.model_copy(update={"rounds": 1})
    return _with_truth(folder, {"cases": cases, "budgets": budgets, "plan": plan})


@fault
def a_resealed_manifest_without_its_rounds(folder: Path) -> bool:
    """And the plan has none, nor any weight to ask."""
    truth = read_manifest(folder).truth
    if truth.plan is None:
        return False
    rounds = [case.key for case in truth.cases if case.weights]
    plan = truth.plan.model_copy(update={"rounds": 0, "shared": 0})
    return _without_cases(folder, rounds, plan=plan, shared=())


def without_the_case_of_random_weights(folder: Path) -> bool:
    """Of a model whose own weights hide a loss: none of the table's does, so that it is none of its faults."""
    truth = read_manifest(folder).truth
    planned = [case.key for case in truth.cases if case.random_seed is not None and not case.weights]
    return _without_cases(folder, planned)


def _without_cases(folder: Path, keys: list[str], **changes: Any) -> bool:
    """The cases of these keys left out, with their budgets."""
    truth = read_manifest(folder).truth
    left = tuple(case for case in truth.cases if case.key not in keys)
    kinds = {case.kind for case in left}
    budgets = tuple(each for each in truth.budgets if each.kind in kinds)
    return _with_truth(folder, {"cases": left, "budgets": budgets, **changes}) if keys else False


@fault
def a_resealed_archive_in_which_answers_are_declared_open(folder: Path) -> bool:
    """Nothing of one case's answers would be judged."""
    truth = read_manifest(folder).truth
    case = next(case for case in truth.cases if case.kind == drawing.RANDOM)
    path = folder / bundle.SAMPLES
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    held = next(each for each in bundle.read_cases(path, truth) if each.case.key == case.key)
    sizes = {name: answer.size for name, answer in held.float32.items()}  # of large answers parts lie in the archive
    masks = {f"{case.key}/open/{name}": np.packbits(np.ones(size, bool)) for name, size in sizes.items()}
    np.savez_compressed(path, **{**arrays, **masks})
    return _with_truth(folder, {})


def _relative(dtype: str, keras: float, noise: float) -> float:
    return derived("", "", dtype, (keras, noise), 0.0).relative


def _with_truth(folder: Path, changes: dict[str, Any]) -> bool:
    """The truth changed and the manifest sealed again, with the archive as it lies there now."""
    manifest = read_manifest(folder)
    samples = digest(folder / bundle.SAMPLES)
    truth = manifest.truth.model_copy(update={**changes, "samples": samples})
    (folder / bundle.MANIFEST).unlink()
    files = {**manifest.files, bundle.SAMPLES: samples}
    write_manifest(folder, manifest.model_copy(update={"files": files, "truth": truth}))
    return True


@fault
def two_equal_weights_merged_and_one_forgotten(folder: Path) -> bool:
    """Both weight maps, the file's and the manifest's, leave it out: every answer is right."""
    path = folder / bundle.ONNX_FILE
    model = onnx.load(path)
    manifest = read_manifest(folder)
    before = {entry["initializer"] for entry in onnx_faults.entries(model)}
    if not onnx_faults.merged(model, None):
        return False
    onnx.save(model, path)
    dropped = before - {entry["initializer"] for entry in onnx_faults.entries(model)}
    kept = tuple(placement for placement in manifest.weight_map if placement.initializer not in dropped)
    (folder / bundle.MANIFEST).unlink()
    files = {**manifest.files, bundle.ONNX_FILE: digest(path)}
    write_manifest(folder, manifest.model_copy(update={"files": files, "weight_map": kept}))
    return True


@fault
def samples_edited(folder: Path) -> bool:
    """One element of one of Keras' answers."""
    return _edited(folder, "/f32/")


@fault
def samples_edited_and_resealed(folder: Path) -> bool:
    """One of Keras' float64 answers, and manifest and record agree."""
    return _edited(folder, "/f64/") and _with_truth(folder, {})


@fault
def external_data_missing(folder: Path) -> bool:
    """The file says its weights lie beside it."""
    return _external(folder, "model.onnx.data", write=False)


@fault
def external_data_outside_of_the_bundle(folder: Path) -> bool:
    """The file says its weights lie in a folder above."""
    return _external(folder, "../outside.data", write=True)


@fault
def external_data_that_is_a_link_out_of_the_bundle(folder: Path) -> bool:
    """The file says its weights lie beside it; what lies there is a link."""
    _external(folder, "model.onnx.data", write=True)
    inside, outside = folder / "model.onnx.data", folder.parent / "outside.data"
    inside.rename(outside)
    inside.symlink_to(outside)
    return True


@fault
def a_file_that_asks_for_more_memory_than_there_is(folder: Path) -> bool:
    """The runtime refuses when it is run."""
    return _beside_an_output(
        folder,
        {"size": np.array([1 << 46])},
        [
            helper.make_node("ConstantOfShape", ["size"], ["much"]),
            helper.make_node("ReduceMax", ["much"], ["lost"], keepdims=0),
        ],
    )


@fault
def a_file_that_kills_the_runtime(folder: Path) -> bool:
    """An LSTM that is given no rows: onnxruntime 1.32 aborts its process."""
    rng = np.random.default_rng(0)
    weights = {"W": rng.standard_normal((1, 8, 4)), "R": rng.standard_normal((1, 8, 2)), "X": np.ones((1, 1, 4))}
    return _beside_an_output(
        folder,
        {"none": np.zeros(1, np.bool_), **{name: value.astype(np.float32) for name, value in weights.items()}},
        [
            helper.make_node("Compress", ["X", "none"], ["no_rows"], axis=1),
            helper.make_node("LSTM", ["no_rows", "W", "R"], ["nothing"], hidden_size=2),
            helper.make_node("ReduceSum", ["nothing"], ["lost"], keepdims=0),
        ],
    )


def _beside_an_output(folder: Path, stored: dict[str, np.ndarray], nodes: list[onnx.NodeProto]) -> bool:
    """Add what the nodes make as `lost` to the first output of floats, and reseal the bundle."""
    path = folder / bundle.ONNX_FILE
    model = onnx.load(path)
    first = next((value for value in model.graph.output if value.type.tensor_type.elem_type == TensorProto.FLOAT), None)
    if first is None:
        return False
    for node in model.graph.node:
        node.output[:] = ["quiet" if name == first.name else name for name in node.output]
        node.input[:] = ["quiet" if name == first.name else name for name in node.input]
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    model.graph.node.extend([*nodes, helper.make_node("Add", ["quiet", "lost"], [first.name])])
    onnx.save(model, path)
    resealed(folder, bundle.ONNX_FILE)
    return True


def _edited(folder: Path, kind: str) -> bool:
    path = folder / bundle.SAMPLES
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    key = next((key for key, value in arrays.items() if kind in key and value.size and value.dtype.kind == "f"), None)
    if key is None:
        return False
    arrays[key] = arrays[key].copy()
    arrays[key].flat[0] += 0.5
    np.savez_compressed(path, **arrays)
    return zipfile.is_zipfile(path)


def _external(folder: Path, location: str, write: bool) -> bool:
    path = folder / bundle.ONNX_FILE
    model = onnx.load(path)
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        tensor.external_data.add(key=key, value=value)
    if write:
        (folder / location).resolve().write_bytes(data)
    path.write_bytes(model.SerializeToString())
    resealed(folder, bundle.ONNX_FILE)
    return True
