"""Reading a bundle from disk, believing nothing that it says about itself before it was checked."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import ArrayLike

from pipeline import cases, frozen_answers, store
from pipeline.array_archive import ArrayArchive, opened
from pipeline.budget_rule import Answer, FeatureBudget
from pipeline.errors import BadInput, one_line
from pipeline.frozen_answers import OfOutput, feature_budgets
from pipeline.records import AxisRule, Case, Check, Manifest, Source, TensorSpec, Truth

MANIFEST = "manifest.json"
MEASUREMENTS = "measurements.json"
SAMPLES = "samples.npz"
TRUTH = "truth.json"
ONNX_FILE = "model.onnx"
SAVED_MODEL = "saved_model"
KERAS_FILE = "model.keras"
CARD = "README.md"

_UNHASHED = frozenset({MANIFEST, MEASUREMENTS})
_UNSEALED = "0" * 64
_LARGEST_FILE = 1 << 40  # bytes; no artifact of a Keras model comes near a TiB
_MOST_DRAWN = 1 << 29  # elements of inputs that are drawn again; exporting keeps a case to 64 MiB


@dataclass(frozen=True)
class CaseArrays:
    """A frozen case: inputs and Keras' answers by name; `float64` is None where there is no float64 reference.

    Answers are whole or, large ones, reduced. `open` has, for outputs that have any, the elements that floating-point
    numbers leave open and that are not judged: booleans of the whole answer's shape. `noise` has what noise moves each
    feature by, (features,), and `by_feature` the budgets of each, where an output's features have unlike scales.
    """

    case: Case
    inputs: Mapping[str, np.ndarray]
    float32: Mapping[str, Answer]
    float64: Mapping[str, Answer] | None
    open: Mapping[str, np.ndarray] = field(default_factory=dict)
    noise: Mapping[str, np.ndarray] = field(default_factory=dict)
    by_feature: Mapping[str, FeatureBudget] = field(default_factory=dict)


def why_no_bundle(directory: Path) -> str | None:
    """Why a folder may not be replaced by a bundle, or None if it is a bundle (a damaged one too) and nothing else."""
    try:
        text = (directory / MANIFEST).read_bytes()
    except OSError:
        return f"it is not a bundle (it holds no {MANIFEST})"
    if not all(key in text for key in (b'"format"', b'"seal"', b'"weight_map"')):
        return f"its {MANIFEST} is not a bundle's"
    known = {MANIFEST, MEASUREMENTS, SAMPLES, ONNX_FILE, SAVED_MODEL, KERAS_FILE, CARD}
    own = (path.name for path in directory.iterdir())
    foreign = sorted(name for name in own if name not in known and not name.startswith(f"{ONNX_FILE}."))
    return f"it also holds {', '.join(foreign)}, which is not the bundle's" if foreign else None


def source_of(directory: Path) -> Source | None:
    """The source of the bundle in a folder, where its manifest can be read and tells one."""
    try:
        return read_manifest(directory).source
    except BadInput:  # damaged: it may be replaced
        return None


# --- the manifest -------------------------------------------------------------------------------------------------


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json` with its seal: the sha256 of its own bytes, in which 64 zeros stand for the seal."""
    text = manifest.model_copy(update={"seal": _UNSEALED}).model_dump_json(indent=1) + "\n"
    seal = hashlib.sha256(text.encode()).hexdigest()
    store.write_record(directory / MANIFEST, manifest.model_copy(update={"seal": seal}))


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the bundle in `directory`.

    Raises:
        BadInput: if there is no such folder or no manifest in it; if the manifest has an unknown format or field, or
            its seal does not fit its bytes; if the frozen truth in it is of another format; if it names a file outside
            the folder or one of an absurd size.
    """
    path = directory / MANIFEST
    if not directory.is_dir():
        raise BadInput(f"{directory} is not a folder: expected a bundle, as `shared-layers export` writes it")
    if not path.is_file():
        raise BadInput(
            f"{directory} is not a bundle: it holds no {MANIFEST}; expected what `shared-layers export` writes"
        )
    _refuse_link_out(directory, MANIFEST)
    text = store.read_text(path)
    manifest = store.parsed_record(text, path, Manifest)
    _refuse_broken_seal(path, text, manifest.seal)
    if manifest.format != manifest.truth.format:  # no plan would be asked for, and none held against the cases
        raise BadInput(
            f"{path} is of format {manifest.format}, and the frozen truth in it of format {manifest.truth.format}: "
            "export the model again"
        )
    for name, digest in manifest.files.items():
        _refuse_outside(directory, name)
        if not 0 <= digest.size <= _LARGEST_FILE:
            raise BadInput(f"{path} gives {name!r} a size of {digest.size} bytes: export the model again")
    return manifest


def _refuse_broken_seal(path: Path, text: bytes, seal: str) -> None:
    sealed, unsealed = seal.encode(), _UNSEALED.encode()
    if len(sealed) != len(unsealed) or hashlib.sha256(text.replace(sealed, unsealed)).hexdigest() != seal:
        raise BadInput(f"{path} was changed after it was written (its seal does not fit): export the model again")


def _refuse_outside(directory: Path, name: str) -> None:
    plain = PurePosixPath(name)
    is_plain = plain.as_posix() == name and not plain.is_absolute() and ".." not in plain.parts and "\\" not in name
    if not is_plain or name in ("", ".") or "\0" in name or name in _UNHASHED:
        raise BadInput(f"the manifest of {directory} names the file {name!r}: expected a plain path inside the bundle")
    _refuse_link_out(directory, name)


def _refuse_link_out(directory: Path, name: str) -> None:
    try:
        is_inside = (directory / name).resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError):  # RuntimeError: a link to itself, before Python 3.13
        is_inside = False
    if not is_inside:
        raise BadInput(f"{name!r} in {directory} is a link that leads out of the bundle: copy the file itself there")


def check_files(directory: Path, manifest: Manifest) -> tuple[Check, ...]:
    """One check for each file that the manifest names (size, sha256), and one that there are no others."""
    named = tuple(_check_file(directory, name, manifest) for name in sorted(manifest.files))
    foreign = sorted(set(_entries(directory)) - set(manifest.files) - _UNHASHED)
    detail = f"not in the manifest: {', '.join(foreign)}" if foreign else ""
    return (*named, Check(name="no other files", passed=not foreign, detail=detail))


def check_file(directory: Path, name: str, manifest: Manifest) -> None:
    """Refuse the file `name` of a bundle if it is not the one that the manifest describes.

    Raises:
        BadInput: if the manifest does not name it, it is missing, or its size or sha256 differ.
    """
    if name not in manifest.files:
        raise BadInput(f"{directory} holds no {name}: {manifest.left_out.get(name, 'the manifest does not name it')}")
    check = _check_file(directory, name, manifest)
    if not check.passed:
        raise BadInput(f"{directory / name} is not what was exported ({check.detail}): export the model again")


def _check_file(directory: Path, name: str, manifest: Manifest) -> Check:
    expected = manifest.files[name]
    path = directory / name
    title = f"file {name}"
    if not os.path.isfile(path):  # pathlib raises for a name that is too long
        return Check(name=title, passed=False, detail="missing")
    size = path.stat().st_size
    if size != expected.size:
        return Check(name=title, passed=False, detail=f"{size} bytes, expected {expected.size}")
    sha256 = store.digest(path).sha256
    detail = "" if sha256 == expected.sha256 else f"sha256 {sha256[:12]}…, expected {expected.sha256[:12]}…"
    return Check(name=title, passed=not detail, detail=detail)


def _entries(directory: Path) -> Iterable[str]:
    """Every entry below `directory` that is no real folder; links to folders are not followed."""
    for folder, folders, files in os.walk(directory):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(folder) / name).relative_to(directory).as_posix()


# --- the frozen truth ---------------------------------------------------------------------------------------------


def read_truth(folder: Path) -> Truth:
    """The frozen truth in `folder`: of a bundle (`manifest.json`), or as it was frozen (`truth.json`).

    Raises:
        BadInput: if there is none, or it is not one of a known format.
    """
    if (folder / MANIFEST).is_file():
        return read_manifest(folder).truth
    return store.read_record(folder / TRUTH, Truth)


def parameters_told(folder: Path) -> int | None:
    """How many parameters the bundle in `folder` says that its model has; None where there is only a frozen truth."""
    return read_manifest(folder).parameters.stored if (folder / MANIFEST).is_file() else None


def read_cases(path: Path, truth: Truth) -> tuple[CaseArrays, ...]:
    """The frozen cases of `truth`, from the archive at `path`; no code in the archive is ever run.

    Raises:
        BadInput: if the archive is missing, is not the one that was frozen, is broken, or lacks an array or holds one
            whose shape does not fit.
    """
    if not path.is_file():
        raise BadInput(f"{path} is missing: the frozen truth is not complete")
    if store.digest(path) != truth.samples:
        raise BadInput(
            f"{path} is not the archive that was frozen (its sha256 or size differs): freeze the truth again"
        )
    by_key = {case.key: case for case in truth.cases}
    if len(by_key) != len(truth.cases):
        raise BadInput(f"{path} has two cases of one key by its record: freeze the truth again")
    _refuse_too_many_drawn(truth)
    with opened(path) as arrays:
        inputs = {case.key: _own_inputs(arrays, case, truth) for case in truth.cases if case.inputs_of is None}
        _refuse_denied_float64(arrays, truth)
        return _with_feature_budgets(tuple(_case_arrays(arrays, case, truth, inputs) for case in truth.cases), truth)


def _refuse_denied_float64(arrays: ArrayArchive, truth: Truth) -> None:
    """Refuse a truth that says there is no float64 reference beside one: the stated rule would judge in its place."""
    groups = tuple(f"{case.key}/f64" for case in truth.cases)
    if truth.no_float64 is not None and (denied := next((key for key in arrays if key.startswith(groups)), None)):
        raise BadInput(f"the frozen truth holds {denied!r} and says that there is no float64 reference")


def _refuse_too_many_drawn(truth: Truth) -> None:
    drawn = 0
    for case in truth.cases:
        if case.inputs_sha256 is not None and case.seed is not None:
            drawn += cases.elements(truth.signature, case.batch, case.seed, case.kind, case.longest_times)
        if drawn > _MOST_DRAWN:
            raise BadInput(f"case {case.key!r} brings the inputs to draw to {drawn} elements: freeze the truth again")


def _own_inputs(arrays: ArrayArchive, case: Case, truth: Truth) -> dict[str, np.ndarray]:
    if case.inputs_sha256 is not None:
        return _drawn_again(case, truth)
    return {spec.name: _member(arrays, f"{case.key}/in/{spec.name}", spec, case) for spec in truth.signature.inputs}


def _case_arrays(
    arrays: ArrayArchive, case: Case, truth: Truth, inputs: Mapping[str, dict[str, np.ndarray]]
) -> CaseArrays:
    """One case; `inputs` are those of the cases that have their own, by key."""

    def group(kind: str, specs: Iterable[TensorSpec]) -> dict[str, Answer]:
        return {spec.name: _answer(arrays, kind, spec, case) for spec in specs}

    of = case.key if case.inputs_of is None else case.inputs_of
    if of not in inputs:
        raise BadInput(f"case {case.key!r} has the inputs of {of!r}, which is no case with inputs")
    outputs = truth.signature.outputs
    has_float64 = truth.no_float64 is None and not case.is_reported
    float32 = group("f32", outputs)
    float64 = group("f64", [spec for spec in outputs if _is_float(spec)]) if has_float64 else None
    for name, exact in (float64 or {}).items():
        if not frozen_answers.are_alike(float32[name], exact):
            raise BadInput(
                f"the float32 and float64 answers of output {name!r} to case {case.key!r} are not told of alike: "
                "freeze the truth again"
            )
    return CaseArrays(
        case=case,
        inputs=inputs[of],
        float32=float32,
        float64=float64,
        open=frozen_answers.open_elements(arrays, case.key, float32),
        noise=frozen_answers.noise_by_feature(arrays, case.key, float32),
    )


def _with_feature_budgets(found: tuple[CaseArrays, ...], truth: Truth) -> tuple[CaseArrays, ...]:
    """The cases with the budgets of each feature, where an output's features have unlike scales."""
    by_output = {}
    for spec in truth.signature.outputs:
        if _is_float(spec) and spec.has_features:
            held = [
                OfOutput(
                    each.case.kind,
                    each.float32[spec.name],
                    each.float64[spec.name],
                    each.open.get(spec.name),
                    each.noise.get(spec.name),
                )
                for each in found
                if each.float64 is not None
            ]
            by_output[spec.name] = feature_budgets(spec.name, spec.dtype, held, truth)
    return tuple(
        replace(each, by_feature={name: kinds[each.case.kind] for name, kinds in by_output.items() if kinds})
        if each.float64 is not None
        else each
        for each in found
    )


def _answer(arrays: ArrayArchive, group: str, spec: TensorSpec, case: Case) -> Answer:
    found = frozen_answers.answer(arrays, case.key, group, spec.name)
    key = f"{case.key}/{group}/{spec.name}"
    if found is None:
        raise BadInput(f"the frozen truth holds no {key!r}, which its record promises: freeze the truth again")
    _refuse_shape(key, found.shape, spec, case)
    return found


def _drawn_again(case: Case, truth: Truth) -> dict[str, np.ndarray]:
    if truth.generator != cases.GENERATOR_VERSION or case.seed is None:
        raise BadInput(
            f"case {case.key!r} was drawn by version {truth.generator} of the generator, this is version "
            f"{cases.GENERATOR_VERSION}: freeze the truth again"
        )
    try:
        inputs = cases.generate(truth.signature, case.batch, case.seed, case.kind, case.longest_times)
    except (ValueError, MemoryError) as error:  # numpy's, for a signature that no model has
        raise BadInput(f"case {case.key!r} can't be drawn: {one_line(error)}; freeze the truth again") from error
    if cases.sha256_of(inputs) != case.inputs_sha256:
        raise BadInput(f"case {case.key!r} is drawn otherwise by numpy {np.__version__}: freeze the truth again")
    return inputs


def _is_float(spec: TensorSpec) -> bool:
    return spec.dtype.startswith("float")


def _member(arrays: ArrayArchive, key: str, spec: TensorSpec, case: Case) -> np.ndarray:
    if key not in arrays:
        raise BadInput(f"the frozen truth holds no {key!r}, which its record promises: freeze the truth again")
    array = arrays[key]
    _refuse_shape(key, array.shape, spec, case)
    return array


def _refuse_shape(key: str, shape: tuple[int, ...], spec: TensorSpec, case: Case) -> None:
    at_batch = tuple(case.batch if axis == "batch" else axis for axis in spec.shape)
    if not spec.model_copy(update={"shape": at_batch}).accepts(shape):
        raise BadInput(f"{key!r} in the frozen truth has shape {shape}, expected {_axes(at_batch)}")


# --- what is fed to a model ---------------------------------------------------------------------------------------


def check_feed(
    inputs: tuple[TensorSpec, ...], feed: Mapping[str, ArrayLike], axes: Mapping[str, AxisRule] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of `feed` in input order, once every one of them fits, free axes by their rules. Nothing is cast.

    onnxruntime compares neither named axes nor, for an LSTM, an empty batch: `[batch, 3]` fed with 1 and 2 rows
    broadcasts, and batch 0 aborts the process (seen with 1.32). So both are refused here.

    Raises:
        BadInput: for a missing or unknown name, a wrong dtype or shape, axes of one name that differ, an empty batch,
            a size that the axis' rule does not admit.
    """
    _refuse_names([spec.name for spec in inputs], feed)
    arrays = {spec.name: _fitting(spec, feed[spec.name]) for spec in inputs}
    _refuse_disagreement(inputs, arrays)
    _refuse_sizes(inputs, arrays, axes or {})
    return arrays


def _refuse_names(names: list[str], feed: Mapping[str, ArrayLike]) -> None:
    for name in feed:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"there is no input {name!r}{hint} (the inputs are {', '.join(names)})")
    missing = [name for name in names if name not in feed]
    if missing:
        raise BadInput(f"input {missing[0]!r} is missing (the inputs are {', '.join(names)})")


def _fitting(spec: TensorSpec, value: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BadInput(f"input {spec.name!r} is not an array: {one_line(error)}") from error
    if array.dtype.name != spec.dtype or not array.dtype.isnative:
        found = array.dtype.name if array.dtype.isnative else f"{array.dtype.name} of foreign byte order"
        raise BadInput(f"input {spec.name!r} has dtype {found}, expected {spec.dtype}: convert it with .astype")
    if not spec.accepts(array.shape):
        raise BadInput(f"input {spec.name!r} has shape {_axes(array.shape)}, expected {_axes(spec.shape)}")
    return array


def _refuse_disagreement(inputs: tuple[TensorSpec, ...], arrays: Mapping[str, np.ndarray]) -> None:
    first: dict[str, tuple[str, int]] = {}
    for spec in inputs:
        for axis, size in zip(spec.shape, arrays[spec.name].shape, strict=True):
            if not isinstance(axis, str):
                continue
            if axis == "batch" and size == 0:
                raise BadInput(f"input {spec.name!r} has an empty batch: give at least one row")
            name, expected = first.setdefault(axis, (spec.name, size))
            if size != expected:
                where = f"{expected} in {name!r} and {size} in {spec.name!r}"
                raise BadInput(f"axis {axis!r} is {where}: it must have one size")


def _refuse_sizes(
    inputs: tuple[TensorSpec, ...], arrays: Mapping[str, np.ndarray], rules: Mapping[str, AxisRule]
) -> None:
    for spec in inputs:
        for axis, size in zip(spec.shape, arrays[spec.name].shape, strict=True):
            refusal = rules[axis].refusal(size) if isinstance(axis, str) and axis in rules else None
            if refusal is not None:
                raise BadInput(f"axis {axis!r} of input {spec.name!r} is {size}: {refusal}")


def _axes(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(str(axis) for axis in shape)})"
