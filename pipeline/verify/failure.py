"""What a failed verification leaves behind, so that it can be seen again."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from pipeline import bundle
from pipeline.budget_rule import Answer
from pipeline.errors import BadInput
from pipeline.records import VERSIONED, Failure, Verdict, versions
from pipeline.store import refusing_unwritable, write_record
from pipeline.subsets import Reduced
from pipeline.verify.tensors import tensors_of

FAILURES = Path("build") / "failures"
RECORD, TEXT, BUNDLE = "failure.json", "verdict.txt", "bundle"


def leave_failure(failures: Path, name: str, verdict: Verdict, directory: Path, command: str | None = None) -> Path:
    """Write `failures/<name>-<time>/` and return it.

    It holds the verdict (`verdict.txt`, and with versions and the command that shows it again `failure.json`), and for
    the case that tells most, where there is one, the inputs and both sides' answers: `inputs.npz`,
    `keras_float32.npz`, `keras_float64.npz`, `onnx.npz`.

    Args:
        failures: the folder of all of them.
        name: of the model.
        verdict: one that failed.
        directory: the bundle, or what was to become one.
        command: what shows it again; None: the directory does not stay where it is, and a copy of it, `bundle/`, is
            verified.

    Raises:
        BadInput: if the folder can't be written.
    """
    with refusing_unwritable(failures):
        failures.mkdir(parents=True, exist_ok=True)
        folder = _new_folder(failures, name)
        if command is None:
            shutil.copytree(directory, folder / BUNDLE)
        place = directory if command is not None else folder / BUNDLE
        case = telling_case(verdict)
        arrays = _arrays(place, case) if case else {}
        for file, held in arrays.items():
            np.savez_compressed(folder / file, **held)  # type: ignore[arg-type]
        failure = Failure(
            subject=verdict.subject,
            command=command or shlex.join(("shared-layers", "verify", str(place))),
            case=case,
            versions=versions(*VERSIONED),
            verdict=verdict,
        )
        write_record(folder / RECORD, failure)
        (folder / TEXT).write_text(f"{verdict}\n\nto see it again: {failure.command}\n", encoding="utf-8")
    return folder


def left_behind(
    name: str, verdict: Verdict, directory: Path, command: str | None = None, failures: Path = FAILURES
) -> str:
    """`leave_failure`, told in a sentence; or why not: the verdict is what counts."""
    try:
        folder = leave_failure(failures, name, verdict, directory, command)
    except BadInput as refusal:
        return f"nothing is kept that shows it again: {refusal}"
    return f"what shows it again is in {folder}"


def telling_case(verdict: Verdict) -> str:
    """The case of the first failed check that names one; empty if none does."""
    return next((check.case for check in verdict.checks if not check.passed and check.case), "")


def _new_folder(failures: Path, name: str) -> Path:
    """One that is not there yet: two failures of one second are two."""
    stem = f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        folder = failures / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise BadInput(f"{failures} is full of failures of {stem}: remove some")


def _arrays(directory: Path, key: str) -> dict[str, Mapping[str, np.ndarray]]:
    """The case's arrays by the file that they go to; none where they can't be read, which a check has told then."""
    try:
        truth = bundle.read_truth(directory)
        cases = bundle.read_cases(directory / bundle.SAMPLES, truth)
    except BadInput:
        return {}
    case = next((each for each in cases if each.case.key == key), None)
    if case is None:
        return {}
    found = tensors_of(directory / bundle.ONNX_FILE, directory, key)
    arrays = {
        "inputs.npz": case.inputs,
        "keras_float32.npz": _elements(case.float32),
        "keras_float64.npz": None if case.float64 is None else _elements(case.float64),
        "onnx.npz": None if found is None else found.answers,
    }
    return {file: held for file, held in arrays.items() if held is not None}


def _elements(answers: Mapping[str, Answer]) -> dict[str, np.ndarray]:
    """Whole answers, and of reduced ones the elements that were kept."""
    return {name: answer.values if isinstance(answer, Reduced) else answer for name, answer in answers.items()}
