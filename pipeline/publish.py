"""From a model to a published bundle: truth frozen, artifacts written, verified, and only then put in its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from pipeline.bundle import CARD, ONNX_FILE, TRUTH, why_no_bundle, write_manifest
from pipeline.errors import BadInput, CheckFailed
from pipeline.export.artifacts import write_artifacts
from pipeline.export.card import model_card
from pipeline.export.options import ExportOptions
from pipeline.graph.forgotten_calls import calls_forgotten
from pipeline.models.held_out import BATCH, in_batches, judged_metric
from pipeline.models.task import Task
from pipeline.oracle.asked import Asked
from pipeline.oracle.asking import NoAnswer
from pipeline.oracle.beside import frozen_beside
from pipeline.oracle.freeze import Freezing
from pipeline.progress import stage
from pipeline.records import VERSIONED, Manifest, TaskMetric, Variant, Verdict, versions
from pipeline.store import digest, digests, publishing, refusing_unwritable, temporary_folder
from pipeline.truth.trial import static_batch
from pipeline.verify.child import NONE_READY, Half, Ready
from pipeline.verify.failure import left_behind
from pipeline.verify.keras_half import searched
from pipeline.verify.onnx_answers import answering
from pipeline.verify.verdict import tensorflow_ready, verify_directory, verify_rows

_JUDGED_APART = "real rows were judged too, and are not part of this bundle"
_MOST_ROWS = 257  # of a task's held-out data: as many as the largest batch


@dataclass(frozen=True)
class Labels:
    """What a manifest says of a model besides what can be read off it."""

    name: str
    variant: Variant
    metric: TaskMetric | None


def publish(
    model: keras.Model,
    folder: Path,
    labels: Labels,
    task: Task | None,
    options: ExportOptions,
    real: Path | None = None,
) -> Manifest:
    """Freeze truth, convert, verify in fresh processes, and only then put the bundle at `folder`.

    Args:
        model: a functional or sequential model; it is left as it is.
        folder: where the bundle shall lie.
        labels: what the manifest says of it besides.
        task: whose data and metric judge it too.
        options: what the user chose.
        real: the folder in which the truth about real rows stays, where those are not published; it is lost if none
            is given.

    Raises:
        BadInput: if the model can't be converted, or the folder can't be written or holds something else.
        CheckFailed: if an artifact does not compute what Keras computes, with these weights or (where they would hide
            losses) with random ones, or the model is below its task's bar. What lay at `folder` stays.
    """
    _require_threshold(labels)
    with publishing(folder, why_no_bundle) as scratch, calls_forgotten(), Asked(model) as asked:
        labels = _with_metric(labels, asked, task)
        _require_threshold(labels)
        with _apart(options, real) as apart, _judges(options) as waiting:
            draft = _draft(model, asked, scratch, labels, task, options, apart)
            verdict = _judged(model, asked, scratch, draft, apart, waiting)
        metric = _metric_of_onnx(scratch, draft, task)
        judged = draft.model_copy(update={"parity": verdict.parity, "metric": metric})
        card = scratch / CARD
        card.write_text(model_card(judged, verdict.not_judged), encoding="utf-8")
        manifest = judged.model_copy(update={"files": {**draft.files, card.name: digest(card)}})
        write_manifest(scratch, manifest)
    return manifest


@contextmanager
def _apart(options: ExportOptions, real: Path | None) -> Iterator[Path | None]:
    """An empty folder for the truth about real rows; None where they may be published."""
    if options.publish_samples:
        yield None
    elif real is None:
        with temporary_folder("real") as folder:
            yield folder
    else:
        shutil.rmtree(real, ignore_errors=True)  # a former run's
        with refusing_unwritable(real):
            real.mkdir(parents=True)
        yield real


def _judges(options: ExportOptions) -> AbstractContextManager[Mapping[Half, Ready]]:
    return tensorflow_ready() if "saved_model" in options.formats else nullcontext(NONE_READY)


def _judged(
    model: keras.Model,
    asked: Asked,
    scratch: Path,
    draft: Manifest,
    apart: Path | None,
    waiting: Mapping[Half, Ready],
) -> Verdict:
    """The verdict on a bundle in `scratch`, which it passed, on real rows too."""
    (scratch / TRUTH).unlink()  # the manifest holds it from here on
    write_manifest(scratch, draft)
    with stage("verdict"):
        verdict, truth = verify_directory(scratch, waiting=waiting), scratch
        is_of_real = apart is not None and (apart / TRUTH).is_file() and ONNX_FILE in draft.files
        if verdict.passed and apart is not None and is_of_real:
            on_real = verify_rows(scratch / ONNX_FILE, apart)
            verdict, truth = (verdict, scratch) if on_real.passed else (on_real, apart)
        if verdict.passed:
            return verdict
        verdict = searched(verdict, model, asked.snapshot, scratch / ONNX_FILE, truth)
    left = left_behind(draft.model, verdict, scratch, is_kept=False)
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
    samples = _task_samples(task, asked) if options.samples is None else options.samples
    with stage("truth"):
        freezing = Freezing(asked, samples, effort=options.effort)
    with frozen_beside(freezing, scratch, apart) as beside:
        feed = dict(freezing.first_inputs)
        artifacts = write_artifacts(model, freezing.signature, feed, options, scratch, asked.snapshot)
        truth = beside.truth()
    if apart is not None and (apart / TRUTH).is_file():
        truth = truth.model_copy(update={"notes": (*truth.notes, _JUDGED_APART)})
    return Manifest(
        model=labels.name,
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


def _with_metric(labels: Labels, asked: Asked, task: Task | None) -> Labels:
    """The labels with the task's figure for the model as it is, where training has left none."""
    if labels.metric is not None or task is None or task.metric is None or task.data is None:
        return labels

    def predict(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return asked.predict({spec.name: np.asarray(feed[spec.name], spec.dtype) for spec in asked.signature.inputs})

    batch = static_batch(asked.signature)
    answer = in_batches(predict, batch or BATCH, is_static=batch is not None)
    try:
        value = float(task.metric(answer, task.data()[1]))
    except NoAnswer as failed:
        raise BadInput(f"the model does not run on its task's data: {failed}") from failed
    metric = TaskMetric(name=task.metric_name or "metric", value=value, threshold=task.threshold)
    return replace(labels, metric=metric)


def _metric_of_onnx(scratch: Path, draft: Manifest, task: Task | None) -> TaskMetric | None:
    """The task's figure with what `model.onnx` answers beside it.

    Raises:
        CheckFailed: if the figures differ by more than rounding explains, or one is no number.
    """
    if draft.metric is None or task is None or ONNX_FILE not in draft.files:
        return draft.metric
    inputs = draft.signature.inputs
    with answering(scratch / ONNX_FILE) as predict:

        def cast(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return predict({spec.name: np.asarray(feed[spec.name], spec.dtype) for spec in inputs})

        return judged_metric(draft.metric, task, cast, model=draft.model, batch=static_batch(draft.signature))


def _task_samples(task: Task | None, asked: Asked) -> dict[str, np.ndarray] | None:
    """Held-out rows of the task, in the dtypes of the inputs; None where there are none of finite numbers."""
    if task is None or task.data is None:
        return None
    given = task.data()[1].inputs
    inputs = asked.signature.inputs
    if any(spec.name not in given for spec in inputs):
        return None
    arrays = {spec.name: np.asarray(given[spec.name])[:_MOST_ROWS].astype(spec.dtype) for spec in inputs}
    is_finite = np.all([np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays.values()], axis=0)
    return {name: array[is_finite] for name, array in arrays.items()} if is_finite.any() else None


def _require_threshold(labels: Labels) -> None:
    """The bar binds the model as the user wrote it; its twin is reported, whichever is better."""
    metric = labels.metric
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
