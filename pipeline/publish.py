"""From a model to a published bundle: truth frozen, artifacts written, verified, and only then put in its place."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from pipeline.bundle import CARD, ONNX_FILE, SAMPLES, SAVED_MODEL, TRUTH, source_of, why_no_bundle, write_manifest
from pipeline.errors import BadInput, CheckFailed
from pipeline.export.artifacts import write_artifacts
from pipeline.export.card import model_card
from pipeline.export.options import ExportOptions
from pipeline.folders import publishing, temporary_folder
from pipeline.graph.forgotten_calls import calls_forgotten
from pipeline.models.held_out import judged_metric
from pipeline.models.task import Task
from pipeline.oracle.asked import Asked
from pipeline.oracle.beside import frozen_beside
from pipeline.oracle.freeze import Freezing
from pipeline.oracle.held_out import batches_of
from pipeline.progress import stage
from pipeline.records import VERSIONED, Manifest, Source, TaskMetric, Variant, Verdict, versions
from pipeline.store import digest, digests
from pipeline.verify.child import NONE_READY, Half, Ready
from pipeline.verify.failure import FAILURES, left_behind
from pipeline.verify.keras_half import searched
from pipeline.verify.one_by_one import told_apart
from pipeline.verify.onnx_answers import answering
from pipeline.verify.verdict import of_rows, tensorflow_ready, verify_by

_JUDGED_APART = "real rows were judged too, and are not part of this bundle"
_WITHHELD = (
    "it holds real rows, the only ones that the model runs on, which were not to be published: who exported the model "
    "has them, and judges by them with --truth FOLDER"
)
_NOT_JUDGED_APART = "real rows: no artifact is there that is run on them"


@dataclass(frozen=True)
class Labels:
    """What a manifest says of a model besides what can be read off it."""

    name: str
    variant: Variant
    metric: TaskMetric | None
    source: Source | None = None


def publish(
    model: keras.Model,
    folder: Path,
    labels: Labels,
    task: Task | None,
    options: ExportOptions,
    real: Path | None = None,
    *,
    replaces_others: bool = True,
    failures: Path = FAILURES,
) -> Manifest:
    """Freeze truth, convert, verify in fresh processes, and only then put the bundle at `folder`.

    Args:
        model: a functional or sequential model; it is left as it is.
        folder: where the bundle shall lie.
        labels: what the manifest says of it besides.
        task: whose data and metric judge it too.
        options: what the user chose.
        real: the folder in which the truth about real rows stays, where those are not published, in place of a
            former one; it is lost if none is given.
        replaces_others: whether a bundle of another source may be replaced, where both sources are told.
        failures: where what shows a failed check again goes.

    Raises:
        BadInput: if the model can't be converted, or the folder can't be written or holds something else, a bundle of
            another source too.
        CheckFailed: if an artifact does not compute what Keras computes, with these weights or (where they would hide
            losses) with random ones, or the model is below its task's bar. What lay at `folder` stays.
    """
    _require_threshold(labels)
    why_kept = partial(_why_kept, source=None if replaces_others else labels.source)
    with publishing(folder, why_kept) as scratch, calls_forgotten(), Asked(model) as asked:
        labels = _with_metric(labels, asked, task)
        _require_threshold(labels)
        with temporary_folder("real") as folder_of_real, _judges(options) as waiting:
            apart = None if options.publish_samples else folder_of_real
            draft = _draft(model, asked, scratch, labels, task, options, apart)
            verdict = _judged(model, asked, scratch, draft, apart, waiting, failures)
            metric = _metric_of_onnx(scratch, asked, draft, task)
            judged = draft.model_copy(update={"parity": verdict.parity, "metric": metric})
            card = scratch / CARD
            card.write_text(model_card(judged, verdict.not_judged), encoding="utf-8")
            manifest = judged.model_copy(update={"files": {**draft.files, card.name: digest(card)}})
            write_manifest(scratch, manifest)
            if real is not None and (folder_of_real / TRUTH).is_file():
                _keep(folder_of_real, real, is_all=SAMPLES in draft.left_out)
    return manifest


def _why_kept(folder: Path, source: Source | None) -> str | None:
    """Why a folder may not be replaced: it is no bundle, or one of another source than this, if one is given."""
    reason = why_no_bundle(folder)
    other = None if reason is not None or source is None else source.why_kept(source_of(folder))
    if other is not None:
        raise BadInput(f"{folder} is the bundle of {other}")
    return reason


def _keep(truth: Path, real: Path, *, is_all: bool) -> None:
    """Leave the truth about real rows where it stays; what can't be written refuses the bundle if it is all there is.

    Else the bundle has a truth of its own, and whoever exports where nothing may be written is told.
    """
    try:
        with publishing(real, _why_no_truth) as place:
            shutil.copytree(truth, place, dirs_exist_ok=True)
    except BadInput as refusal:
        if is_all:
            raise
        warnings.warn(f"the truth about real rows is not kept: {refusal}", stacklevel=2)


def _why_no_truth(folder: Path) -> str | None:
    others = sorted({path.name for path in folder.iterdir()} - {TRUTH, SAMPLES})
    return f"it holds {others[0]!r}" if others else None


def _judges(options: ExportOptions) -> AbstractContextManager[Mapping[Half, Ready]]:
    return tensorflow_ready() if "saved_model" in options.formats else nullcontext(NONE_READY)


def _judged(
    model: keras.Model,
    asked: Asked,
    scratch: Path,
    draft: Manifest,
    apart: Path | None,
    waiting: Mapping[Half, Ready],
    failures: Path,
) -> Verdict:
    """The verdict on a bundle in `scratch`, which it passed, on real rows too."""
    (scratch / TRUTH).unlink(missing_ok=True)  # the manifest holds it from here on
    write_manifest(scratch, draft)
    own = apart if apart is not None and SAMPLES in draft.left_out else scratch
    is_beside = apart is not None and own is scratch and (apart / TRUTH).is_file() and _is_judged(draft)
    rows = (apart,) if apart is not None and is_beside else ()
    with stage("verdict"):
        asked.rest()  # the halves need the memory
        verdict, *on_rows = verify_by(scratch, rows, truth=own, waiting=waiting)
        failed = [(of_rows(each), truth) for each, truth in zip(on_rows, rows, strict=True) if not of_rows(each).passed]
        if verdict.passed and not failed:
            return verdict
        verdict, truth = failed[0] if verdict.passed else (verdict, own)
        verdict = told_apart(verdict, asked, scratch / ONNX_FILE, truth)
        verdict = searched(verdict, model, asked.snapshot, scratch / ONNX_FILE, truth)
    left = left_behind(draft.model, verdict, scratch, failures=failures)
    raise CheckFailed(f"{draft.model} is not published: {_first_failure(verdict)}; {left}")


def _draft(
    model: keras.Model,
    asked: Asked,
    scratch: Path,
    labels: Labels,
    task: Task | None,
    options: ExportOptions,
    apart: Path | None,
) -> Manifest:
    """Truth and artifacts in `scratch`, and the manifest that says so."""
    of_task = options.samples is None
    samples = _task_samples(task, labels.name) if of_task else options.samples
    with stage("questions"):
        freezing = Freezing(asked, samples, effort=options.effort, of_task=of_task)
    with frozen_beside(freezing, scratch, apart) as beside:
        feed = dict(freezing.first_inputs)
        artifacts = write_artifacts(
            model, freezing.signature, feed, options, scratch, asked.snapshot, has_loops=asked.has_loops
        )
        truth = beside.truth()
    draft = Manifest(
        model=labels.name,
        source=labels.source,
        variant=labels.variant,
        signature=truth.signature,
        opset=options.opset,
        versions=versions(*VERSIONED),
        parameters=artifacts.parameters,
        shared_layers=artifacts.shared_layers,
        weight_map=artifacts.weight_map,
        metric=labels.metric,
        truth=truth,
        files={name: found for name, found in digests(scratch).items() if name != TRUTH},
        left_out=artifacts.left_out,
        loops=artifacts.loops,
    )
    return draft if apart is None or not (apart / TRUTH).is_file() else _with_real_rows(draft)


def _with_real_rows(draft: Manifest) -> Manifest:
    """The manifest with what becomes of real rows that are no part of the bundle."""
    truth = draft.truth
    if SAMPLES not in draft.files:
        return draft.model_copy(update={"left_out": {**draft.left_out, SAMPLES: _WITHHELD}})
    told: dict[str, tuple[str, ...]] = {"notes": (*truth.notes, _JUDGED_APART)}
    if not _is_judged(draft):
        told = {"not_judged": (*truth.not_judged, _NOT_JUDGED_APART)}
    return draft.model_copy(update={"truth": truth.model_copy(update=told)})


def _is_judged(draft: Manifest) -> bool:
    """Whether there is an artifact that a verdict runs."""
    return any(name.split("/", 1)[0] in (ONNX_FILE, SAVED_MODEL) for name in draft.files)


def _with_metric(labels: Labels, asked: Asked, task: Task | None) -> Labels:
    """The labels with the task's figure for the model as it is, where training has left none."""
    if labels.metric is not None or task is None or task.metric is None or task.data is None:
        return labels
    held_out = task.held_out(labels.name)
    value = task.figure(batches_of(asked, held_out).through_keras(asked), held_out, labels.name)
    metric = TaskMetric(name=task.metric_name or "metric", value=value, threshold=task.threshold)
    return replace(labels, metric=metric)


def _metric_of_onnx(scratch: Path, asked: Asked, draft: Manifest, task: Task | None) -> TaskMetric | None:
    """The task's figure with what `model.onnx` answers beside it.

    Raises:
        CheckFailed: if the figures differ by more than rounding explains, or one is no number.
    """
    if draft.metric is None or task is None or task.data is None or ONNX_FILE not in draft.files:
        return draft.metric
    batches = batches_of(asked, task.held_out(draft.model))
    with answering(scratch / ONNX_FILE, batches.limits.seconds) as predict:
        return judged_metric(draft.metric, task, batches.through(predict), model=draft.model)


def _task_samples(task: Task | None, model: str) -> Mapping[str, np.ndarray] | None:
    return None if task is None or task.data is None else task.held_out(model).inputs


def _require_threshold(labels: Labels) -> None:
    """A figure is a number; the bar binds the model as the user wrote it, its twin is reported, whichever is better."""
    metric = labels.metric
    if metric is not None and math.isnan(metric.value):
        raise CheckFailed(f"{labels.name} is not published: its held-out {metric.name} is not a number")
    if labels.variant == "unshared" or metric is None or metric.threshold is None or metric.value >= metric.threshold:
        return
    raise CheckFailed(
        f"{labels.name} is not published: its held-out {metric.name} of {metric.value:.4f} is below the bar of "
        f"{metric.threshold:g}"
    )


def _first_failure(verdict: Verdict) -> str:
    failed = next(check for check in verdict.checks if not check.passed)
    told = f"{failed.name}: {failed.detail}" if failed.detail else failed.name
    return told if verdict.first_difference is None else f"{told}; {verdict.first_difference}"
