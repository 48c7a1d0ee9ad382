"""The ONNX half of a verdict: one file in onnxruntime against the frozen truth, in a process of its own.

    python -P -m pipeline.verify.onnx_half --model FILE.onnx --truth FOLDER --out VERDICT.json

onnxruntime can abort its process, so nothing that wants to live on runs this in its own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from pipeline import bundle
from pipeline.audit import all_nodes, read_onnx
from pipeline.bundle import CaseArrays
from pipeline.errors import BadInput, one_line
from pipeline.records import OPSET_KEY, Check, TensorSpec, Truth, Verdict
from pipeline.verify import sharing
from pipeline.verify.behaviour import check_behaviour, plain, randomised, rounds, to_be_asked
from pipeline.verify.call_sites import not_reading
from pipeline.verify.child import Given, announce, answer
from pipeline.verify.frozen_truth import check_truth, effort_and_rule, told
from pipeline.verify.overridable_weights import OverridableWeights, refilled, session_of
from pipeline.verify.own_values import check_own_values
from pipeline.verify.parity import ArtifactRefused, Judgement, Run, judge, reports
from pipeline.verify.stated_rule import Seen, dtypes_of

ARTIFACT = "onnx"
_SHAPES_TOLD = 8  # moved weights are inputs too

_STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_RUNTIME_DOMAINS = frozenset({"com.microsoft", "com.microsoft.nchwc"})
# onnxruntime's exceptions have no base of their own but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
_WEIGHT_ERRORS: tuple[type[Exception], ...] = (*_RUNTIME_ERRORS, BadInput)  # BadInput: elements that can't be read
_RUN_ERRORS: tuple[type[Exception], ...] = (*_RUNTIME_ERRORS, ValueError)  # ValueError: names the file lacks


def verify(model: Path, truth_folder: Path) -> Verdict:
    """Every check of the ONNX file `model` against the truth in `truth_folder`. May take the process with it."""
    return given(model, truth_folder).verdict


def given(model: Path, truth_folder: Path) -> Given:
    """The verdict on the ONNX file `model` by the truth in `truth_folder`, and what is still to be reported."""
    announce("reading the ONNX file")
    try:
        proto = read_onnx(model)
    except BadInput as error:
        check = Check(name="the file is ONNX", passed=False, detail=str(error))
        return Given(Verdict(subject=str(model), checks=(check,)))
    checks = [_check_model(model), _check_operators(proto), _check_opset(proto, truth_folder)]
    weight_map, sharing_checks = _check_sharing(proto, model, truth_folder)
    judgement = _against_truth(_File(model, proto, weight_map), truth_folder)
    checks += sharing_checks
    effort, rule = _judged_by(truth_folder)
    verdict = Verdict(
        subject=str(model),
        checks=(*checks, *judgement.checks),
        parity=judgement.figures,
        not_judged=judgement.told,
        effort=effort,
        rule=rule,
    )
    return Given(verdict, judgement.reports)


def _judged_by(truth_folder: Path) -> tuple[str, str]:
    try:
        return effort_and_rule(bundle.read_truth(truth_folder))
    except BadInput:  # said by a check
        return "", ""


# --- the file -----------------------------------------------------------------------------------------------------


def _check_model(model: Path) -> Check:
    announce("onnx.checker and shape inference")
    try:
        onnx.checker.check_model(str(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return Check(name="onnx checker", passed=False, detail=one_line(error))
    return Check(name="onnx checker", passed=True, detail="shapes inferred")


def _check_operators(proto: onnx.ModelProto) -> Check:
    """List operators that ONNX does not define: onnxruntime's own make a file less portable, others can't run."""
    own = {(function.domain, function.name) for function in proto.functions}
    domains = {(node.domain, node.op_type) for node in all_nodes(proto)} - own
    unknown = sorted(f"{d}.{op}" for d, op in domains if d not in _STANDARD_DOMAINS | _RUNTIME_DOMAINS)
    runtime = sorted(f"{d}.{op}" for d, op in domains if d in _RUNTIME_DOMAINS)
    detail = f"defined nowhere: {', '.join(unknown)}" if unknown else f"{len(domains)} kinds"
    if runtime:
        detail += f"; onnxruntime alone has {', '.join(runtime)}"
    return Check(name="operators are known", passed=not unknown, detail=detail)


def _check_opset(proto: onnx.ModelProto, truth_folder: Path) -> Check:
    """The opset that the file says is the one it was exported to: operators may mean something else in another."""
    found = next((opset.version for opset in proto.opset_import if opset.domain == ""), None)
    told = {entry.key: entry.value for entry in proto.metadata_props}.get(OPSET_KEY)
    manifest = bundle.read_manifest(truth_folder) if (truth_folder / bundle.MANIFEST).is_file() else None
    wanted = {version for version in (told, None if manifest is None else str(manifest.opset)) if version is not None}
    holds = wanted <= {str(found)}
    detail = f"{found}" if holds else f"{found}, exported to {' and '.join(sorted(wanted))}"
    return Check(name="opset is the one exported to", passed=holds, detail=detail)


@dataclass(frozen=True)
class _File:
    """An ONNX file, read, with the weight map that it is judged by; None if it has none that can be."""

    path: Path
    proto: onnx.ModelProto
    weight_map: sharing.WeightMap | None


def _check_sharing(
    proto: onnx.ModelProto, model: Path, truth_folder: Path
) -> tuple[sharing.WeightMap | None, tuple[Check, ...]]:
    """The weight map, where the file's tensors are as it says, and the checks of that."""
    announce("sharing by the weight map")
    try:
        in_metadata = sharing.metadata_weight_map(proto)
        in_manifest = _manifest_weight_map(truth_folder)
        if in_metadata is not None and in_manifest is not None and _stored(in_metadata) != _stored(in_manifest):
            raise BadInput("the ONNX file's metadata and the manifest disagree")
        weight_map = in_metadata if in_manifest is None else in_manifest
        checks = sharing.check_sharing(proto, model.parent, weight_map)
    except BadInput as error:
        return None, (Check(name="weight map", passed=False, detail=str(error)),)
    # Where a weight does not lie where the map says there is nothing to perturb.
    return (weight_map if checks[0].passed else None), checks


def _stored(weight_map: sharing.WeightMap) -> sharing.WeightMap:
    """Without the weights that no node reads, which only the manifest lists."""
    return tuple(placement for placement in weight_map if placement.initializer is not None)


def _manifest_weight_map(folder: Path) -> sharing.WeightMap | None:
    return bundle.read_manifest(folder).weight_map if (folder / bundle.MANIFEST).is_file() else None


# --- against the truth --------------------------------------------------------------------------------------------


def _against_truth(file: _File, truth_folder: Path) -> Judgement:
    announce("reading the frozen truth")
    try:
        truth = bundle.read_truth(truth_folder)
        cases = bundle.read_cases(truth_folder / bundle.SAMPLES, truth)
    except BadInput as error:
        return Judgement((Check(name="frozen truth", passed=False, detail=str(error)),), ())
    asked = [check_truth(truth, cases, Seen(dtypes_of(file.proto), bundle.parameters_told(truth_folder)))]
    if file.weight_map is not None:
        asked.append(check_own_values(file.proto, file.path.parent, file.weight_map, truth))
    announce("loading into onnxruntime")
    try:
        session = _session(file.path)
    except _RUNTIME_ERRORS as error:
        return Judgement((*asked, Check(name="onnxruntime loads it", passed=False, detail=one_line(error))), ())
    loaded = Check(name="onnxruntime loads it", passed=True, detail=f"onnxruntime {onnxruntime.__version__}")
    inputs = _check_specs("inputs", session.get_inputs(), truth.signature.inputs)
    outputs = _check_specs("outputs", session.get_outputs(), truth.signature.outputs)
    judgement = judge(ARTIFACT, truth, plain(cases), partial(_run, session))
    del session  # the weights are in memory once more where they are moved
    moved = _check_moved(file, truth, cases)
    return Judgement(
        (*asked, loaded, inputs, outputs, *judgement.checks, *moved),
        judgement.figures,
        (*truth.notes, *truth.not_judged, *told(truth, cases)),
        reports(ARTIFACT, truth, cases, _opening(file.path)),
    )


def _opening(path: Path) -> Run:
    """Runs a file that is loaded with the first case."""
    session: onnxruntime.InferenceSession | None = None

    def run(feed: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        nonlocal session
        session = session or _session(path)
        return _run(session, feed)

    return run


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _check_moved(file: _File, truth: Truth, cases: tuple[CaseArrays, ...]) -> tuple[Check, ...]:
    """The cases with other weights than the file's own: at random, and the shared ones in rounds."""
    if file.weight_map is None:
        return ()  # said by the checks of sharing
    announce("moving weights")
    random = randomised(cases)
    try:
        base = None if not random else refilled(file.proto, file.path.parent, file.weight_map, random[0].case)
        checks = () if base is None else _check_randomised(base, file, truth, random)
        return (*checks, _check_behaviour(file, base, truth, cases))
    except _WEIGHT_ERRORS as error:
        return (Check(name=f"{ARTIFACT} follows each shared weight", passed=False, detail=one_line(error)),)


def _check_randomised(
    base: onnx.ModelProto, file: _File, truth: Truth, cases: tuple[CaseArrays, ...]
) -> tuple[Check, ...]:
    """The file with random weights in the place of its own, which may hide a loss; optimised as any file is."""
    session = session_of(base, file.path.parent)
    return judge(f"{ARTIFACT} with random weights", truth, cases, partial(_run, session)).checks


def _check_behaviour(file: _File, base: onnx.ModelProto | None, truth: Truth, cases: tuple[CaseArrays, ...]) -> Check:
    assert file.weight_map is not None
    shared = to_be_asked(truth, file.weight_map)
    moved = {name for case in rounds(cases) for name in (*case.case.weights, case.case.weight) if name is not None}
    weighted = OverridableWeights(file.proto, file.path.parent, file.weight_map, moved, base=base) if moved else None

    def perturbing(case: CaseArrays) -> Run:
        assert weighted is not None
        session, extra = weighted.session, weighted.feed(case.case)
        return lambda feed: _run(session, {**feed, **extra})

    return check_behaviour(ARTIFACT, truth, cases, shared, perturbing, not_reading(file.proto, file.weight_map))


def _check_specs(kind: str, found: Sequence[onnxruntime.NodeArg], specs: tuple[TensorSpec, ...]) -> Check:
    """Names, order, dtypes and shapes, free axes by their names."""
    seen = [_described(value.name, tuple(value.shape), _numpy_name(value.type)) for value in found]
    expected = [_described(spec.name, spec.shape, spec.dtype) for spec in specs]
    detail = f"{', '.join(seen)}; expected {', '.join(expected)}" if seen != expected else ", ".join(seen)
    return Check(name=f"{ARTIFACT} {kind} bear Keras' names, shapes and dtypes", passed=seen == expected, detail=detail)


def _described(name: str, shape: tuple[int | str | None, ...], dtype: str) -> str:
    return f"{name}: {dtype}({', '.join('?' if axis is None else str(axis) for axis in shape)})"


def _numpy_name(onnx_type: str) -> str:
    element = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(element, element)


def _run(session: onnxruntime.InferenceSession, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    announce(f"running inputs of shapes {', '.join(str(array.shape) for array in list(feed.values())[:_SHAPES_TOLD])}")
    names = [value.name for value in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(feed)), strict=True))
    except _RUN_ERRORS as error:
        raise ArtifactRefused(one_line(error)) from error


if __name__ == "__main__":
    sys.exit(answer(given, "an ONNX file"))
