"""The line: what each stage reads, does and leaves on disk, a few lines a stage.

Rooms are imported inside the functions, here and nowhere else: the command line answers before TensorFlow is loaded.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import BadInput
from pipeline.progress import stage
from pipeline.quiet import load_tensorflow
from pipeline.records import (
    AuditReport,
    Description,
    Manifest,
    Measurements,
    TaskMetric,
    TrainingRecord,
    Variant,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import keras
    import numpy as np

    from pipeline.bench.plan import Compared
    from pipeline.bench.run import Bench
    from pipeline.deploy.runtime import Bundle
    from pipeline.doctor import Diagnosis
    from pipeline.export.options import ExportOptions
    from pipeline.models.reference import Resolved
    from pipeline.models.task import Task

BUILD = Path("build")
EXPORTED = Path("exported")
RESULTS = Path("benchmarks/results")
FAILURES = BUILD / "failures"


@dataclass(frozen=True)
class Reference:
    """A model reference as the user gave it, with what helps to build, fill and feed it.

    Attributes:
        text: a registered name, `package.module:function`, `path/to/file.py:function`, a `.keras` or `.h5` file.
        weights: a file that fills the model.
        weights_map: which layer of it fills which layer, where names differ (JSON).
        allow_missing: whether layers that it does not hold stay as they are.
        imports: modules with custom layers.
        data: other data of a registered model.
        inputs: what a subclassed model takes, as `NAME=SHAPE:DTYPE`.
        samples: real inputs by name, an `.npz` archive.
        name: what it is called, in place of the name that its file and function give it.
    """

    text: str
    weights: Path | None = None
    weights_map: Path | None = None
    allow_missing: bool = False
    imports: tuple[str, ...] = ()
    data: Path | None = None
    inputs: tuple[str, ...] = ()
    samples: Path | None = None
    name: str | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """What a user types behind the model's text for all of it."""
        single = {
            "--weights": self.weights,
            "--weights-map": self.weights_map,
            "--data": self.data,
            "--samples": self.samples,
            "--name": self.name,
        }
        given = [(option, str(value)) for option, value in single.items() if value is not None]
        given += [("--import", value) for value in self.imports] + [("--input", value) for value in self.inputs]
        return (*itertools.chain.from_iterable(given), *(("--allow-missing",) if self.allow_missing else ()))

    def command(self, stage: str, *more: str) -> str:
        """What a user types to have a stage done with this model."""
        return shlex.join(("shared-layers", stage, self.text, *more, *self.options))


def resolve(reference: Reference) -> Resolved:
    """The task behind a reference."""
    load_tensorflow()
    from pipeline.models import reference as references
    from pipeline.models.weights_file import WeightsFile

    weights = None
    if reference.weights is not None:
        weights = WeightsFile(reference.weights, reference.weights_map, reference.allow_missing)
    elif reference.weights_map is not None or reference.allow_missing:
        raise BadInput("--weights-map and --allow-missing say how a file fills the model: give it by --weights FILE")
    return references.resolve(
        reference.text, weights=weights, imports=reference.imports, data=reference.data, name=reference.name
    )


def trained_folder(name: str, variant: Variant) -> Path:
    """Where training leaves the weights of a variant."""
    return BUILD / name / variant / "trained"


def bundle_folder(name: str, variant: Variant) -> Path:
    """Where the bundle of a variant lies: published for `shared`, under `build/` for the twin that benchmarks need."""
    return EXPORTED / name if variant == "shared" else BUILD / name / variant / "bundle"


def real_folder(name: str, variant: Variant) -> Path:
    """Where an export leaves the truth about real rows that are not published; any name is that of one folder."""
    return BUILD / re.sub(r"[^\w.-]|^\.+", "_", name) / variant / "real"


# --- models -------------------------------------------------------------------------------------------------------


def build(reference: str, variant: Variant = "shared") -> keras.Model:
    """The model of a reference with seeded, untrained weights.

    Args:
        reference: a registered name, `package.module:function`, `path/to/file.py:function`, a `.keras` or `.h5` file.
        variant: `shared` as the user wrote it, or `unshared`, the twin with a layer for each call site.

    Raises:
        BadInput: if the reference names no model, or the model can't be unshared.
    """
    return _build(resolve(Reference(reference)), variant)


def _build(subject: Resolved, variant: Variant) -> keras.Model:
    from pipeline.models.reference import build_model

    return _variant_of(build_model(subject), variant)


def _functional(subject: Resolved, reference: Reference) -> keras.Model:
    """The model as the user wrote it, with a graph."""
    from pipeline.export.options import input_signature
    from pipeline.graph.functional import as_functional

    return as_functional(_build(subject, "shared"), input_signature(reference.inputs) if reference.inputs else None)


def _samples(reference: Reference) -> Mapping[str, np.ndarray] | None:
    from pipeline.samples import load_samples

    return None if reference.samples is None else load_samples(reference.samples)


def _variant_of(model: keras.Model, variant: Variant) -> keras.Model:
    from pipeline.graph.unshare import unshare

    if variant == "batched":
        raise BadInput("the batched variant is not available yet: choose shared or unshared")
    return unshare(model) if variant == "unshared" else model


def registered() -> tuple[str, ...]:
    """The names of the registered models."""
    from pipeline.models import registry

    return tuple(registry.names())


def describe(reference: Reference) -> Description:
    """Which layers of a referenced model are shared, where, and what that saves."""
    subject = resolve(reference)
    from pipeline.oracle.describe import describe as describe_model

    _samples(reference)
    return describe_model(_functional(subject, reference))


# --- train --------------------------------------------------------------------------------------------------------


def train(reference: Reference, variant: Variant, seed: int = 0, *, replaces_others: bool = False) -> TrainingRecord:
    """Train one variant into `build/<name>/<variant>/trained/`.

    Raises:
        BadInput: if the task lacks something, or what lies there was trained of another source, which is not to be
            replaced.
    """
    subject = resolve(reference)
    from pipeline.training.fit import train as fit

    _samples(reference)
    folder = trained_folder(subject.name, variant)
    return fit(subject, variant, folder, seed, replaces_others=replaces_others)


# --- export -------------------------------------------------------------------------------------------------------


def export(
    reference: Reference,
    variant: Variant,
    options: ExportOptions,
    output: Path | None = None,
    *,
    replaces_others: bool = False,
    failures: Path = FAILURES,
) -> tuple[Manifest, Path]:
    """Export one variant of a referenced model, a registered one with its trained weights; and where it lies.

    Args:
        reference: the model.
        variant: `shared`, or the twin, whose bundle lies under `build/`.
        options: formats and opset.
        output: the folder in which the bundle's own folder shall lie, in place of `exported/`.
        replaces_others: whether a bundle of another source that lies there is replaced.
        failures: the folder in which what shows a failed check again lies.

    Raises:
        BadInput: if the model can't be built or converted, or a registered one was not trained yet.
        CheckFailed: if an artifact does not compute what Keras computes, or the trained model is below its threshold.
    """
    from pipeline.oracle.asking import begun

    with begun():
        return _export(reference, variant, options, output, replaces_others, failures)


def _export(
    reference: Reference,
    variant: Variant,
    options: ExportOptions,
    output: Path | None,
    replaces_others: bool,
    failures: Path,
) -> tuple[Manifest, Path]:
    with stage("model"):
        subject = resolve(reference)
        from pipeline.publish import Labels, publish

        model = _functional(subject, reference)
        if variant == "unshared" and _has_trained_as(subject, "shared") and not _has_trained_as(subject, variant):
            _fill_trained(subject, reference, model, "shared")  # copied to every call site
        model = _variant_of(model, variant)
        trained = _fill_trained(subject, reference, model, variant)
    metric = None
    if trained is not None and trained.metric is not None and trained.value is not None:
        metric = TaskMetric(name=trained.metric, value=trained.value, threshold=trained.threshold)
    name = subject.name if variant == "shared" else f"{subject.name}-{variant}"
    folder = output / name if output is not None else bundle_folder(subject.name, variant)
    labels = Labels(subject.name, variant, metric, subject.source(folder))
    real = real_folder(subject.name, variant)
    manifest = publish(
        model, folder, labels, subject.task, options, real, replaces_others=replaces_others, failures=failures
    )
    return manifest, folder


def export_options(
    opset: int,
    formats: Sequence[str],
    inputs: Sequence[str] = (),
    effort: str = "standard",
    samples: Path | None = None,
    publish_samples: bool = False,
) -> ExportOptions:
    """The options of an export, checked; `inputs` as `NAME=SHAPE:DTYPE`, `samples` an `.npz` archive."""
    from pipeline.export.options import ExportOptions, input_signature
    from pipeline.samples import load_samples

    chosen: Any = tuple(formats)  # checked by ExportOptions
    asked: Any = effort
    return ExportOptions(
        opset=opset,
        formats=chosen,
        input_signature=input_signature(inputs) if inputs else None,
        effort=asked,
        samples=None if samples is None else load_samples(samples),
        publish_samples=publish_samples,
    )


def _has_trained_as(subject: Resolved, variant: Variant) -> bool:
    """Whether a model of a user's own was trained as this variant; a registered one has to be, as each."""
    from pipeline.training.trained import RECORD

    return subject.is_registered or (trained_folder(subject.name, variant) / RECORD).is_file()


def _fill_trained(
    subject: Resolved, reference: Reference, model: keras.Model, variant: Variant
) -> TrainingRecord | None:
    """Give the model its trained weights, where there are any; a registered model must have them."""
    folder = trained_folder(subject.name, variant)
    from pipeline.training.trained import RECORD, load_trained, source_of

    if subject.weights is not None:
        return None
    if not (folder / RECORD).is_file() and not subject.is_registered:
        return None
    training = reference.command("train", *(() if variant == "shared" else ("--variant", variant)))
    if not (folder / RECORD).is_file():
        raise BadInput(f"{subject.name} ({variant}) is not trained yet: run `{training}` first")
    other = subject.source(folder).why_kept(source_of(folder))
    if other is not None:
        raise BadInput(f"{folder} holds what was trained of {other} (`{training} --replace`)")
    record = load_trained(model, folder)
    if record.source_sha256 == subject.source_sha256:
        return record
    raise BadInput(f"{subject.name} ({variant}) changed since it was trained: run `{training}` again")


def export_bundle(
    model: keras.Model,
    directory: Path | str,
    *,
    name: str | None = None,
    task: Task | None = None,
    options: ExportOptions | None = None,
) -> Bundle:
    """Export a model to a bundle, verify it and publish it at `directory` in one step.

    Where real rows are not published, the truth about them stays in `build/<name>/shared/real`.

    Args:
        model: a Keras model with the weights that it shall have; one without a graph needs `options.input_signature`.
        directory: where the bundle shall lie; a bundle that lies there is replaced once the new one is whole.
        name: of the model in the manifest; the model's own if not given.
        task: with data, real samples are part of the truth; with a metric, its figure is part of the manifest.
        options: formats, opset.

    Returns:
        The published bundle.

    Raises:
        BadInput: if the model can't be converted, or the folder can't be written or holds something else.
        CheckFailed: if an artifact does not compute what Keras computes; nothing is published then.
    """
    load_tensorflow()
    from pipeline.deploy.runtime import Bundle
    from pipeline.export.options import ExportOptions
    from pipeline.graph.forgotten_calls import calls_forgotten
    from pipeline.graph.functional import as_functional
    from pipeline.publish import Labels, publish

    chosen = options or ExportOptions()
    folder = Path(directory)
    labels = Labels(name or model.name, "shared", None)
    with calls_forgotten():
        functional = as_functional(model, chosen.input_signature)
        manifest = publish(functional, folder, labels, task, chosen, real_folder(labels.name, "shared"))
    for layer, reason in manifest.loops.items():
        warnings.warn(f"{layer} stays a loop in model.onnx, exact and slow: {reason}", stacklevel=2)
    return Bundle(folder, manifest)


# --- verify -------------------------------------------------------------------------------------------------------


def verify_bundle(
    directory: Path | str,
    model: keras.Model | None = None,
    *,
    truth: Path | str | None = None,
    samples: Mapping[str, np.ndarray] | None = None,
) -> Verdict:
    """The verdict on a bundle as it lies on disk, each runtime in a fresh process.

    Args:
        directory: of the bundle.
        model: asked again, if given: then what the bundle holds is also judged against what it says now.
        truth: the folder that the export has left the truth in (`build/<name>/<variant>/real`), where it is about real
            rows alone and the bundle leaves them out.
        samples: real inputs by name, (row, ...) each, that the model is asked on too; by itself it is asked on those
            of the bundle, where drawn ones don't run.

    Raises:
        BadInput: if there is no bundle, or the samples don't fit the model.
    """
    from pipeline.bundle import ONNX_FILE
    from pipeline.verify.verdict import NOT_RUN, require_bundle, verify_by

    folder = Path(directory)
    require_bundle(folder)

    def judged(*truths: Path) -> tuple[Verdict, ...]:
        with stage("verdict"):
            return verify_by(folder, truths, truth=None if truth is None else Path(truth))

    if model is None:
        return judged()[0]
    rows = samples if samples is not None else _rows_without_drawn(folder if truth is None else Path(truth))
    verdict, again = _against_model(judged, model, folder / ONNX_FILE, rows)
    untold = (*verdict.not_judged, *again.not_judged)
    is_run = any(check.name.startswith("keras ") for check in again.checks)
    return Verdict(
        subject=verdict.subject,
        checks=(*verdict.checks, *again.checks),
        parity=(*verdict.parity, *again.parity),
        not_judged=tuple(each for each in untold if each != NOT_RUN or not is_run),
        first_difference=again.first_difference,
        effort=verdict.effort,
        rule=verdict.rule,
    )


def _rows_without_drawn(folder: Path) -> Mapping[str, np.ndarray] | None:
    """The real rows that a frozen truth is about, where nothing was drawn; None where they can't be read."""
    from pipeline.bundle import SAMPLES, read_cases, read_truth
    from pipeline.cases import RANDOM

    try:
        truth = read_truth(folder)
        cases = read_cases(folder / SAMPLES, truth) if RANDOM in truth.not_asked else ()
    except BadInput:  # which the verdict tells
        return None
    real = [each for each in cases if each.case.kind == "real"]
    return max(real, key=lambda each: each.case.batch).inputs if real else None


def verify_onnx(path: Path | str, model: keras.Model) -> Verdict:
    """The verdict on any ONNX file against a Keras model, which is asked for its answers first.

    Whatever is wrong with the file is a failed check, never an exception. Sharing is judged by the weight map in the
    file's metadata; without one it is reported and does not decide.

    Raises:
        BadInput: if the model has no graph to read.
    """
    from pipeline.verify.verdict import verify_file

    def judged(truth: Path) -> tuple[Verdict, ...]:
        return (verify_file(Path(path), truth),)

    return _against_model(judged, model, Path(path))[-1]


def _against_model(
    judged: Callable[[Path], tuple[Verdict, ...]],
    model: keras.Model,
    onnx_file: Path,
    samples: Mapping[str, np.ndarray] | None = None,
) -> tuple[Verdict, ...]:
    """What is judged, the last against a truth that the model is asked for, on samples too if there are any.

    Where that fails, the ONNX file is searched for the call site that differs.
    """
    load_tensorflow()
    from pipeline.folders import temporary_folder
    from pipeline.graph.forgotten_calls import calls_forgotten
    from pipeline.graph.functional import as_functional
    from pipeline.oracle.asked import Asked
    from pipeline.oracle.freeze import ask
    from pipeline.verify.keras_file_half import KERAS_FILE, with_keras_file
    from pipeline.verify.keras_half import searched
    from pipeline.verify.one_by_one import told_apart

    with temporary_folder("truth") as folder, calls_forgotten(), Asked(as_functional(model)) as asked:
        ask(asked, folder, samples)
        *own, against_model = judged(folder)
        if own:  # of a bundle, whose other artifacts lie beside
            against_model = with_keras_file(against_model, onnx_file.with_name(KERAS_FILE), folder)
        against_model = told_apart(against_model, asked, onnx_file, folder)
        return (*own, searched(against_model, asked.model, asked.snapshot, onnx_file, folder))


def verify(
    text: str, reference: Reference | None = None, truth: Path | None = None, failures: Path = FAILURES
) -> tuple[Verdict, str]:
    """The verdict on a bundle, and where a failed one left what shows it again.

    Args:
        text: a bundle's folder, or the registered name or the reference of a model that was published.
        reference: the model that is asked again, if given, and in which the first call site that differs is searched.
        truth: see `verify_bundle`.
        failures: the folder in which what shows a failed check again lies.
    """
    from pipeline.verify.failure import left_behind

    directory = Path(text)
    if not directory.exists() and text in registered():
        directory = EXPORTED / text
    elif not directory.is_dir() and is_reference(text):
        directory = _published(Reference(text) if reference is None else replace(reference, text=text))
    if reference is None:
        verdict = verify_bundle(directory, truth=truth)
    else:
        from pipeline.oracle.asking import begun

        with begun():
            verdict = verify_bundle(directory, _trained(reference), truth=truth, samples=_samples(reference))
    name = Path(os.path.abspath(directory)).name
    if verdict.passed:
        return verdict, ""
    words = ["shared-layers", "verify", str(directory)]
    words += [] if truth is None else ["--truth", str(truth)]
    words += [] if reference is None else ["--model", reference.text, *reference.options]
    return verdict, left_behind(name, verdict, directory, shlex.join(words), failures)


def is_reference(text: str) -> bool:
    """Whether a text that is no registered name and no folder is meant as a model's reference."""
    from pipeline.models.origin import MODEL_FILES

    return ":" in text or text.endswith(MODEL_FILES)


def _published(reference: Reference) -> Path:
    """The folder of a referenced model's bundle, which is not to be another's."""
    from pipeline.bundle import source_of
    from pipeline.models.origin import origin_of

    folder = EXPORTED / bundle_name(reference)
    other = origin_of(reference.text).source(folder).other(source_of(folder))
    if other is not None:
        raise BadInput(f"{folder} is the bundle of {other}: give the folder to verify that one")
    return folder


def _trained(reference: Reference) -> keras.Model:
    """A referenced model with its trained weights, where there are any."""
    with stage("model"):
        subject = resolve(reference)
        model = _functional(subject, reference)
        _fill_trained(subject, reference, model, "shared")
    return model


def audit(path: Path) -> AuditReport:
    """What an ONNX file stores, and who reads it."""
    from pipeline.audit import audit as audit_file

    return audit_file(path)


# --- bench --------------------------------------------------------------------------------------------------------


def bench(
    references: Sequence[Reference],
    device: Literal["cpu", "gpu"],
    is_quick: bool,
    sizes: Mapping[str, int] | None = None,
    told: Callable[[str], None] = lambda line: None,
    batches: tuple[int, ...] = (),
) -> Measurements:
    """Time exported models against their twins; the figures go to `benchmarks/results/`.

    Args:
        references: the models. The twin of one of a user's own is exported first, where it is not there or older.
        device: on which.
        is_quick: fewer processes and rounds.
        sizes: of free axes, by name; those that are not given are chosen (`bench/sizes.py`).
        told: gets a line for what is done before anything is timed.
        batches: the batch sizes; none: 1, 8 and 64, as far as a call does not take too long.

    Raises:
        BadInput: if a bundle is missing, or the device is, or a free axis takes no such size.
        CheckFailed: if a worker process dies.
    """
    from pipeline.bench.plan import cover
    from pipeline.bench.run import Bench

    models = [replace(_compared(reference, sizes or {}, told), batches=batches) for reference in references]
    for compared in models:
        chosen = cover(compared, device).subjects[0].sizes
        if chosen:
            told(f"{compared.name} is timed at {', '.join(f'{axis}={size}' for axis, size in chosen.items())}")
    return run_bench(Bench(models, device, is_quick), RESULTS)


def _compared(reference: Reference, sizes: Mapping[str, int], told: Callable[[str], None]) -> Compared:
    from pipeline.bench.plan import Compared

    name = bundle_name(reference)
    shared, unshared = (bundle_folder(name, variant) for variant in ("shared", "unshared"))
    if reference.text not in registered():
        _make_twin(reference, shared, unshared, told)
    return Compared(name, shared, unshared, reference.text, reference.imports, sizes)


def _make_twin(reference: Reference, shared: Path, unshared: Path, told: Callable[[str], None]) -> None:
    """Export the twin of a user's model, unless one lies there that is no older than the bundle.

    Raises:
        BadInput: if there is no bundle, or it or the twin that lies there is of another source.
    """
    from pipeline.bundle import MANIFEST, read_manifest, source_of

    try:
        manifest = read_manifest(shared)
    except BadInput as error:
        raise BadInput(f"{error}; run `{reference.command('export')}` first") from error
    subject = resolve(reference)
    for folder, more in ((shared, ()), (unshared, ("--variant", "unshared"))):
        other = subject.source(folder).other(source_of(folder))
        if other is not None:
            again = reference.command("export", *more, "--replace")
            raise BadInput(f"{folder} is the bundle of {other}: run `{again}` to replace it")
    of_twin = unshared / MANIFEST
    if of_twin.is_file() and of_twin.stat().st_mtime >= (shared / MANIFEST).stat().st_mtime:
        return
    told(f"exporting the unshared twin of {reference.text}")
    artifacts = {"onnx": "model.onnx", "saved_model": "saved_model", "keras": "model.keras"}
    formats = [kind for kind, artifact in artifacts.items() if artifact not in manifest.left_out]
    options = export_options(manifest.opset, formats, reference.inputs, "quick", reference.samples)
    export(reference, "unshared", options)


def read_sizes(texts: Iterable[str]) -> dict[str, int]:
    """Sizes of free axes as a user typed them, `AXIS=SIZE` each."""
    from pipeline.bench.sizes import read_sizes as read

    return read(texts)


def run_bench(planned: Bench, results: Path) -> Measurements:
    """Measure, and lay a copy of each model's figures into its bundle, outside of the manifest's hashes."""
    from pipeline.bench.run import only, run
    from pipeline.bundle import MEASUREMENTS
    from pipeline.store import write_record

    measured = run(planned, results)
    for compared in planned.models:
        write_record(compared.shared / MEASUREMENTS, only(measured, compared.name))
    return measured


def bundle_name(reference: Reference) -> str:
    """The name of a referenced model's bundle, told without loading anything.

    Raises:
        BadInput: if it is no reference.
    """
    from pipeline.models.origin import origin_of

    if reference.name is not None or reference.text in registered():
        return reference.name or reference.text
    return origin_of(reference.text).name if is_reference(reference.text) else resolve(reference).name


# --- doctor -------------------------------------------------------------------------------------------------------


def doctor() -> Diagnosis:
    """What is installed, which devices there are, and what is known to break."""
    from pipeline.doctor import examine

    return examine()
