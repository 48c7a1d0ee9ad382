"""What all subjects have in common, whatever runtime opens them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import cases
from pipeline.bundle import read_manifest
from pipeline.records import Manifest, Subject

# Both variants of a cell get the same inputs: their values decide how long masked steps and denormals take.
INPUT_SEED = 0

# The module that opens the subjects of a runtime; importing it imports the runtime.
LOADERS = {
    "keras": "pipeline.bench.keras_subject:open_subject",
    "saved_model": "pipeline.bench.saved_model_subject:open_subject",
    "onnxruntime": "pipeline.bench.onnxruntime_subject:open_subject",
}
ARTIFACTS = {"keras": "model.keras", "saved_model": "saved_model", "onnxruntime": "model.onnx"}


@dataclass(frozen=True)
class Work:
    """A subject that is ready: `run` does its work once and returns when the device is done.

    `device` is the one that is really used; `note` what a reader of its figures must know; `sizes` those of free axes
    where they are not the subject's.
    """

    run: Callable[[], object]
    device: str
    parameters: int
    file_bytes: int
    note: str = ""
    sizes: dict[str, int] | None = None


def work_of(
    subject: Subject, run: Callable[[], object], device: str, note: str = "", sizes: dict[str, int] | None = None
) -> Work:
    """The work of a subject, with what its bundle's manifest says of the file that was loaded."""
    manifest = read_manifest(Path(subject.path))
    return Work(run, device, manifest.parameters.stored, _file_bytes(manifest, ARTIFACTS[subject.runtime]), note, sizes)


def feed_of(subject: Subject) -> dict[str, np.ndarray]:
    """An array for every input of a subject, by name, drawn from its bundle's signature."""
    signature = read_manifest(Path(subject.path)).signature
    return cases.generate(signature, subject.batch, INPUT_SEED, sizes=subject.sizes)


def artifact_of(subject: Subject) -> Path:
    """The file or folder that the subject's runtime loads."""
    return Path(subject.path) / ARTIFACTS[subject.runtime]


def belongs_to(file: str, artifact: str) -> bool:
    """Whether a bundle's file is an artifact, lies in its folder, or is its external data."""
    return file == artifact or file.startswith((f"{artifact}/", f"{artifact}."))


def _file_bytes(manifest: Manifest, artifact: str) -> int:
    return sum(digest.size for name, digest in manifest.files.items() if belongs_to(name, artifact))
