"""Fitting a model epoch by epoch, until its validation figure is past the bar."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras

from pipeline.models.task import Arrays, FitPlan, Metric
from pipeline.training.named import packed_inputs, packed_targets, predictor
from pipeline.training.progress import TrainingDisplay, training_display
from pipeline.training.samples import Samples


@dataclass(frozen=True)
class Fitted:
    """What fitting took: epochs, and seconds with validation."""

    epochs: int
    seconds: float


def fit_epochs(model: keras.Model, plan: FitPlan, metric: Metric | None, samples: Samples, title: str) -> Fitted:
    """Fit `model` in place; `title` heads the progress shown on stderr."""
    steps = -(-len(samples.epoch(0)) // plan.batch_size)
    model.compile(optimizer=plan.optimizer(steps * plan.max_epochs), loss=plan.loss)
    begin = time.perf_counter()
    epochs = reached = 0
    with training_display(title, plan.max_epochs, steps) as display:
        while epochs < plan.max_epochs and reached < plan.stop_after:
            loss = _fit_epoch(model, samples.epoch(epochs), plan.batch_size, display)
            figure = _validation_figure(model, metric, samples.validation)
            epochs += 1
            display.epoch(epochs, loss, figure)
            is_past = figure is not None and plan.stop_at is not None and figure >= plan.stop_at
            reached = reached + 1 if is_past else 0
    return Fitted(epochs, time.perf_counter() - begin)


def _fit_epoch(model: keras.Model, arrays: Arrays, batch_size: int, display: TrainingDisplay) -> float:
    """One pass over `arrays` in their order; the mean loss."""
    history = model.fit(
        packed_inputs(model, arrays.inputs),
        packed_targets(model, arrays.targets),
        batch_size=batch_size,
        shuffle=False,  # the samples come in a seeded order
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: display.step())],
    )
    return float(history.history["loss"][0])


def _validation_figure(model: keras.Model, metric: Metric | None, validation: Arrays | None) -> float | None:
    if metric is None or validation is None:
        return None
    return float(metric(predictor(model), validation))
