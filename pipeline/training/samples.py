"""What a task is trained on, what training stops by, and what judges the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.models.task import Arrays, Data, FitPlan, Training


@dataclass(frozen=True)
class Samples:
    """The three parts of a task's samples.

    `seed` gives fixed training samples their order in each epoch; where they are drawn afresh, epochs are counted from
    `first_epoch`, so that two seeds have none in common.
    """

    training: Training
    validation: Arrays | None
    held_out: Arrays
    seed: int
    first_epoch: int = 0

    def epoch(self, number: int) -> Arrays:
        """The training samples of epoch `number`, from 0: drawn afresh where the task does so, else in a new order."""
        if not isinstance(self.training, Arrays):
            return self.training(self.first_epoch + number)
        order = np.random.default_rng((self.seed, number)).permutation(len(self.training))
        return self.training.take(order)


def draw_samples(data: Data, plan: FitPlan, seed: int) -> Samples:
    """The samples that `data` gives; a part of fixed training samples is put aside where a plan stops by validation."""
    training, held_out = data()
    validation = None if plan.validation is None else plan.validation()
    if validation is None and plan.stop_at is not None and isinstance(training, Arrays):
        training, validation = _put_aside(training, plan.validation_fraction, seed)
    return Samples(training, validation, held_out, seed, seed * plan.max_epochs)


def _put_aside(training: Arrays, fraction: float, seed: int) -> tuple[Arrays, Arrays]:
    order = np.random.default_rng(seed).permutation(len(training))
    aside, kept = np.split(order, [round(len(training) * fraction)])
    return training.take(kept), training.take(aside)
