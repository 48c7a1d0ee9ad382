"""The verdict on a bundle or an ONNX file, joined from halves that each run in a process of their own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from pipeline import bundle
from pipeline.errors import BadInput
from pipeline.folders import temporary_folder
from pipeline.records import Check, Manifest, Verdict
from pipeline.verify.behaviour import FOLLOWS
from pipeline.verify.child import NONE_READY, Half, Question, Ready, ask, ready
from pipeline.verify.frozen_truth import effort_and_rule
from pipeline.version import WHEEL

# What a half has for each truth. Long enough for TensorFlow to load a model of some hundred MB on one busy core; and,
# as Keras has it, so many seconds and so many times what the plan has counted. A bundle says itself how much that is,
# so it can't ask for more than a day.
LIMIT_S = 600.0
_LEAST_S, _TIMES = 120.0, 100.0
_MOST_S = 86_400.0

_COVERS = "the weight map covers every parameter"
_ONNX = Half(module="pipeline.verify.onnx_half", runtime="onnxruntime")
_SAVED_MODEL = Half(module="pipeline.verify.savedmodel_half", runtime="tensorflow")
# What the checks behind the first of a half are about.
ARTIFACT_OF = {
    half.lived: f"{artifact} in {half.runtime}"
    for half, artifact in ((_ONNX, bundle.ONNX_FILE), (_SAVED_MODEL, bundle.SAVED_MODEL))
}
_AT_HAND = "the frozen truth is at hand"
_KERAS_FILE = "model.keras"
NOT_RUN = f"{_KERAS_FILE}: it was tried when it was written, and only its sha256 is judged since"


def tensorflow_ready() -> AbstractContextManager[Mapping[Half, Ready]]:
    """Within this block the process that will judge a SavedModel loads TensorFlow already; it is asked once."""
    return ready([_SAVED_MODEL])


def verify_directory(
    directory: Path, *, limit_s: float | None = None, waiting: Mapping[Half, Ready] = NONE_READY
) -> Verdict:
    """The verdict on the bundle in `directory`, as it lies on disk: its files, then each artifact that it holds.

    `limit_s` is the time in seconds that each half has (default: by the plan); `waiting` are processes that are there
    already (`tensorflow_ready`). A manifest that can't be read is a failed check.

    Raises:
        BadInput: if `directory` holds no manifest, and so is no bundle; if it holds a SavedModel and TensorFlow is not
            installed.
    """
    return verify_by(directory, (), limit_s=limit_s, waiting=waiting)[0]


def verify_by(
    directory: Path,
    others: tuple[Path, ...],
    *,
    truth: Path | None = None,
    limit_s: float | None = None,
    waiting: Mapping[Half, Ready] = NONE_READY,
) -> tuple[Verdict, ...]:
    """The verdict on a bundle by its own truth, then those on its artifacts alone by other ones.

    One process of a half gives all of its verdicts: what takes seconds is to load TensorFlow.

    Args:
        directory: of the bundle.
        others: folders with `truth.json` and `samples.npz`.
        truth: the folder that holds the bundle's own `samples.npz`, where the bundle leaves it out.
        limit_s: the time in seconds that each half has for each truth; None: by its plan.
        waiting: processes that are there already (`tensorflow_ready`).

    Raises:
        BadInput: if `directory` holds no manifest, and so is no bundle.
    """
    require_bundle(directory)
    try:
        manifest = bundle.read_manifest(directory)
    except BadInput as error:
        check = Check(name=bundle.MANIFEST, passed=False, detail=str(error))
        return tuple(Verdict(subject=str(directory), checks=(check,)) for _ in (directory, *others))
    if bundle.SAMPLES not in manifest.left_out:
        return _verify_files(directory, manifest, (directory, *others), limit_s, waiting)
    with temporary_folder("own") as own:
        shutil.copyfile(directory / bundle.MANIFEST, own / bundle.MANIFEST)
        if truth is not None and (truth / bundle.SAMPLES).is_file():
            shutil.copyfile(truth / bundle.SAMPLES, own / bundle.SAMPLES)
        return _verify_files(directory, manifest, (own, *others), limit_s, waiting)


def require_bundle(directory: Path) -> None:
    """Refuse a folder without a manifest.

    Raises:
        BadInput: if there is none; what it is instead, if anything.
    """
    if not (directory / bundle.MANIFEST).is_file():
        bundle.read_manifest(directory)


def _verify_files(
    directory: Path, manifest: Manifest, truths: tuple[Path, ...], limit_s: float | None, waiting: Mapping[Half, Ready]
) -> tuple[Verdict, ...]:
    """The verdicts on the files of `directory` by a manifest that was read from it; the first of the truths is its own.

    Where TensorFlow is not installed a SavedModel is not judged, and the verdict says so: who deploys a bundle can
    repeat all the rest.
    """
    told = []
    questions = []
    for half, artifact in ((_ONNX, bundle.ONNX_FILE), (_SAVED_MODEL, bundle.SAVED_MODEL)):
        if artifact not in _artifacts(manifest) or not _is_plain(directory / artifact):
            continue  # a missing or strange one is a failed check already
        if half is _SAVED_MODEL and find_spec("tensorflow") is None:
            told.append(f"{artifact}: needs TensorFlow (pip install '{WHEEL}[train]')")
            continue
        questions.append(Question(half, directory / artifact, truths))
    checks = (
        *bundle.check_files(directory, manifest),
        *_check_manifest(manifest),
        *_check_withheld(manifest, truths[0]),
    )
    answers = ask(questions, _limit(truths, limit_s), waiting)
    effort, rule = effort_and_rule(manifest.truth)
    own = _joined(directory, [each[0] for each in answers], checks, told)
    told += [NOT_RUN] if _KERAS_FILE in manifest.files else []
    by_others = [_joined(directory, [each[number] for each in answers], (), told) for number in range(1, len(truths))]
    return (own.model_copy(update={"effort": effort, "rule": rule}), *by_others)


def _check_withheld(manifest: Manifest, own: Path) -> tuple[Check, ...]:
    """Where the bundle leaves its truth out, nothing passes unasked: that it is missing fails in words."""
    if bundle.SAMPLES not in manifest.left_out:
        return ()
    is_there = (own / bundle.SAMPLES).is_file()
    detail = "" if is_there else "it is about real rows that are not in the bundle: give its folder (--truth FOLDER)"
    return (Check(name=_AT_HAND, passed=is_there, detail=detail),)


def _joined(directory: Path, verdicts: list[Verdict], checks: tuple[Check, ...], told: list[str]) -> Verdict:
    """One verdict of those of the halves, behind what was checked before."""
    not_judged = (*told, *(each for verdict in verdicts for each in verdict.not_judged))
    return Verdict(
        subject=str(directory),
        checks=(*checks, *(check for verdict in verdicts for check in verdict.checks)),
        parity=tuple(figure for verdict in verdicts for figure in verdict.parity),
        not_judged=tuple(dict.fromkeys(not_judged)),
    )


def verify_file(onnx_path: Path, truth_folder: Path, *, limit_s: float | None = None) -> Verdict:
    """The verdict on any ONNX file against a frozen truth. Whatever is wrong with it is a failed check.

    `truth_folder` holds `truth.json` and `samples.npz`, or is a bundle. `limit_s` is in seconds (default: by its plan).
    """
    return ask([Question(_ONNX, onnx_path, (truth_folder,))], _limit((truth_folder,), limit_s))[0][0]


def _limit(truths: tuple[Path, ...], limit_s: float | None) -> float:
    """The seconds that a half has for all truths: so many for each, or what their plans say."""
    return sum(_limit_by_plan(truth) if limit_s is None else limit_s for truth in truths)


def _limit_by_plan(folder: Path) -> float:
    try:
        plan = bundle.read_truth(folder).plan
    except BadInput:  # said by a check
        return LIMIT_S
    return LIMIT_S if plan is None else max(LIMIT_S, min(_LEAST_S + _TIMES * plan.cost, _MOST_S))


def of_rows(verdict: Verdict) -> Verdict:
    """The verdict by a truth about real rows alone: shared weights are asked beside drawn ones."""
    checks = tuple(check for check in verdict.checks if not check.name.endswith(FOLLOWS))
    return verdict.model_copy(update={"checks": checks})


def _is_plain(artifact: Path) -> bool:
    """Whether it is a file or a folder: reading a pipe would wait for ever."""
    return artifact.is_file() or artifact.is_dir()


def _artifacts(manifest: Manifest) -> set[str]:
    """The top-level names among the files of the manifest."""
    return {name.split("/", 1)[0] for name in manifest.files}


def _check_artifacts(manifest: Manifest) -> Check:
    """Every artifact is either there or left out with a reason; and the frozen truth is there."""
    held = _artifacts(manifest)
    excused = held | set(manifest.left_out)
    wanted = {bundle.ONNX_FILE: "onnx", bundle.SAVED_MODEL: "saved_model", _KERAS_FILE: "keras"}
    missing = sorted(name for name, format_ in wanted.items() if not {name, f"{name}/", format_} & excused)
    missing += [] if bundle.SAMPLES in excused else [bundle.SAMPLES]
    left_out = ", ".join(f"{name}: {reason}" for name, reason in manifest.left_out.items())
    detail = f"neither there nor left out: {', '.join(missing)}" if missing else left_out
    return Check(name="every artifact is there", passed=not missing, detail=detail)


def _check_manifest(manifest: Manifest) -> tuple[Check, ...]:
    """What the manifest says about itself: `load_bundle` goes by its signature, the halves by the frozen one."""
    is_frozen = manifest.signature == manifest.truth.signature
    random = manifest.randomised
    return (
        _check_artifacts(manifest),
        _check_parameters(manifest),
        Check(name="the manifest's signature is the frozen one", passed=is_frozen),
        *([] if random is None else [Check(name=_RANDOMISED, passed=random.passed, detail=random.subject)]),
    )


# Said only where the model's own weights would hide losses.
_RANDOMISED = "it was judged with random weights before"


def _check_parameters(manifest: Manifest) -> Check:
    if bundle.ONNX_FILE not in manifest.files:
        return Check(name=_COVERS, passed=True, detail="no ONNX file, no weight map")
    mapped = sum({placement.weight: placement.size for placement in manifest.weight_map}.values())
    stored = manifest.parameters.stored
    detail = f"{mapped:,} of {stored:,} parameters"
    return Check(name=_COVERS, passed=mapped == stored, detail=detail)
