"""Training one variant of a task: from a reference to weights and a record on disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np

from pipeline.errors import BadInput
from pipeline.folders import publishing
from pipeline.graph.unshare import unshare
from pipeline.models.foreign import calling_foreign
from pipeline.models.reference import Resolved, build_model
from pipeline.models.task import Arrays, Data, FitPlan
from pipeline.records import Source, TrainingRecord, Variant
from pipeline.store import digest, write_record
from pipeline.training.epochs import fit_epochs
from pipeline.training.named import predictor
from pipeline.training.samples import draw_samples
from pipeline.training.trained import RECORD, WEIGHTS, source_of
from pipeline.training.weights import save_weights


def train(
    subject: Resolved, variant: Variant, folder: Path, seed: int = 0, *, replaces_others: bool = False
) -> TrainingRecord:
    """Fit one variant and publish its weights and figures in `folder`, as `weights.npz` and `training.json`.

    The twin starts from copies of the weights that the shared model starts from, and has the same budget: the same
    samples in the same order, the same most epochs, the same rule for stopping.

    Args:
        subject: the model and its task.
        variant: `shared` or `unshared`.
        folder: is replaced in one step when training is done; a run that is broken off leaves it as it was.
        seed: of initial weights, dropout, the order of fixed samples, those put aside and those drawn for each epoch.
        replaces_others: whether what was trained there may be of another source.

    Raises:
        BadInput: if the task has no data or no plan, its data doesn't suit its model, or `folder` can't be written
            or holds what was trained of another source.
    """
    if variant == "batched":
        raise BadInput("the batched variant runs on the weights of the shared one: train 'shared' instead")
    data, plan = _data_and_plan(subject)
    with calling_foreign(f"the data of {subject.name}"):
        keras.utils.set_random_seed(seed)
        samples = draw_samples(data, plan, seed)
    shared = build_model(subject, seed)
    model = unshare(shared) if variant == "unshared" else shared
    source = subject.source(folder)
    with publishing(folder, partial(_why_kept, source=None if replaces_others else source)) as scratch:
        with calling_foreign(f"training {subject.name}"):
            fitted = fit_epochs(model, plan, subject.task.metric, samples, title=f"{subject.name}, {variant}")
        save_weights(model, scratch / WEIGHTS)
        record = TrainingRecord(
            model=subject.name,
            source=source,
            variant=variant,
            source_sha256=subject.source_sha256,
            seed=seed,
            epochs=fitted.epochs,
            seconds=fitted.seconds,
            parameters=model.count_params(),
            metric=subject.task.metric_name,
            value=_judged(subject, model, samples.held_out),
            threshold=subject.task.threshold,
            symmetry_error=_symmetry_error(plan, model, samples.held_out),
            weights=digest(scratch / WEIGHTS),
        )
        write_record(scratch / RECORD, record)
    return record


def _why_kept(folder: Path, source: Source | None) -> str | None:
    """Why a folder may not be replaced: it is no trained one, or one of another source than this, if one is given."""
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in (RECORD, WEIGHTS))
    if foreign:
        return f"it holds {', '.join(foreign)}, which training does not write"
    reason = None if source is None else source.why_kept(source_of(folder))
    if reason is not None:
        raise BadInput(f"{folder} holds what was trained of {reason}")
    return None


def _data_and_plan(subject: Resolved) -> tuple[Data, FitPlan]:
    data, plan = subject.task.data, subject.task.fit
    if data is None or plan is None:
        missing = " and no ".join(part for part, value in (("data", data), ("fit", plan)) if value is None)
        raise BadInput(
            f"model {subject.name!r} can't be trained: its task has no {missing}; "
            "return a pipeline.Task that has them, or export it untrained"
        )
    return data, plan


def _judged(subject: Resolved, model: keras.Model, held_out: Arrays) -> float | None:
    task = subject.task
    return None if task.metric is None else task.figure(predictor(model), held_out, subject.name)


def _symmetry_error(plan: FitPlan, model: keras.Model, held_out: Arrays) -> float | None:
    """The largest `|f(a, b) - f(b, a)|` over the held-out samples, in the output's own unit."""
    if plan.symmetric_inputs is None:
        return None
    first, second = plan.symmetric_inputs
    inputs = held_out.inputs
    swapped = {**inputs, first: inputs[second], second: inputs[first]}
    predict = predictor(model)
    straight, crossed = predict(inputs), predict(swapped)
    return max(float(np.abs(straight[name] - crossed[name]).max()) for name in straight)
