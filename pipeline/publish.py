"""From a model to a published bundle: truth frozen, artifacts written, verified, and only then put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipeline.bundle import CARD, ONNX_FILE, SAMPLES, TRUTH, read_cases, why_no_bundle, write_manifest
from pipeline.deploy.runtime import Bundle
from pipeline.errors import CheckFailed
from pipeline.export.artifacts import write_artifacts
from pipeline.export.card import model_card
from pipeline.export.options import ExportOptions
from pipeline.models.task import Task
from pipeline.oracle.freeze import Asked
from pipeline.progress import stage
from pipeline.records import VERSIONED, Manifest, TaskMetric, Variant, Verdict, versions
from pipeline.store import digest, digests, publishing
from pipeline.verify.failure import left_behind
from pipeline.verify.keras_half import searched
from pipeline.verify.verdict import verify_directory


@dataclass(frozen=True)
class Labels:
    """What a manifest says of a model besides what can be read off it."""

    name: str
    variant: Variant
    metric: TaskMetric | None


def publish(model: keras.Model, folder: Path, labels: Labels, task: Task | None, options: ExportOptions) -> Manifest:
    """Freeze truth, convert, verify in fresh processes, and only then put the bundle at `folder`.

    Raises:
        BadInput: if the model can't be converted, or the folder can't be written or holds something else.
        CheckFailed: if an artifact does not compute what Keras computes, with these weights or (where they would hide
            losses) with random ones, or the model is below its task's bar. What lay at `folder` stays.
    """
    _require_threshold(labels)
    with publishing(folder, why_no_bundle) as scratch, Asked(model, options.effort) as asked:
        draft = _draft(model, asked, scratch, labels, task, options)
        verdict = _judged(model, asked, scratch, draft)
        metric = _metric_of_onnx(scratch, draft, task)
        judged = draft.model_copy(update={"parity": verdict.parity, "metric": metric})
        card = scratch / CARD
        card.write_text(model_card(judged), encoding="utf-8")
        manifest = judged.model_copy(update={"files": {**draft.files, card.name: digest(card)}})
        write_manifest(scratch, manifest)
    return manifest


def _judged(model: keras.Model, asked: Asked, scratch: Path, draft: Manifest) -> Verdict:
    """The verdict on a bundle in `scratch`, which it passed."""
    (scratch / TRUTH).unlink()  # the manifest holds it from here on
    write_manifest(scratch, draft)
    with stage("verdict"):
        verdict = verify_directory(scratch)
        if verdict.passed:
            return verdict
        verdict = searched(verdict, model, asked.snapshot, scratch / ONNX_FILE, scratch)
    left = left_behind(draft.model, verdict, scratch, is_kept=False)
    raise CheckFailed(f"{draft.model} is not published: {_first_failure(verdict)}; {left}")


def _draft(
    model: keras.Model, asked: Asked, scratch: Path, labels: Labels, task: Task | None, options: ExportOptions
) -> Manifest:
    """Truth and artifacts in `scratch`, and the manifest that says so."""
    truth = asked.freeze(scratch, _real_samples(task))
    feed = dict(read_cases(scratch / SAMPLES, truth)[0].inputs)
    artifacts = write_artifacts(model, truth.signature, feed, options, scratch, asked.snapshot)
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


def _metric_of_onnx(scratch: Path, draft: Manifest, task: Task | None) -> TaskMetric | None:
    """The task's figure with what `model.onnx` answers beside it.

    Two samples, or a thousandth of the figure, may fall on the other side of a decision that rounding tips. An artifact
    in half precision or in integers is judged by this: no budget is widened for it.

    Raises:
        CheckFailed: if the figures differ by more.
    """
    metric = draft.metric
    if metric is None or task is None or task.metric is None or task.data is None or ONNX_FILE not in draft.files:
        return metric
    held_out = task.data()[1]
    found = float(task.metric(Bundle(scratch, draft).run, held_out))
    allowed = max(2 / len(held_out), 1e-3 * abs(metric.value))
    if not abs(found - metric.value) <= allowed:
        raise CheckFailed(
            f"{draft.model} is not published: its held-out {metric.name} is {metric.value:.4f}, that of model.onnx "
            f"{found:.4f}: more than {allowed:.2g} apart"
        )
    return metric.model_copy(update={"onnx": found})


def _real_samples(task: Task | None) -> dict[str, np.ndarray] | None:
    return None if task is None or task.data is None else dict(task.data()[1].inputs)


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
