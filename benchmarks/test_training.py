"""The training step, shared against unshared: forward, gradients and the optimiser's update, compiled."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.records import Subject


def test_training_step(training_step: Subject, replay: Callable[[Subject], None]) -> None:
    """One step on one batch of the task's own samples."""
    replay(training_step)
