"""What a training gave."""

from __future__ import annotations

from typing import Literal

from pipeline.records.base import Number, Record, Variant
from pipeline.records.signature import FileDigest
from pipeline.records.source import Source


class TrainingRecord(Record):
    """What training one variant left in its folder beside the weights, written last. Format 1 has no `source`."""

    format: Literal[1, 2] = 2
    model: str
    source: Source | None = None
    variant: Variant
    source_sha256: str
    seed: int
    epochs: int
    seconds: float
    parameters: int
    metric: str | None
    value: Number | None
    threshold: float | None
    symmetry_error: Number | None = None
    weights: FileDigest

    @property
    def holds(self) -> bool:
        """Whether the held-out metric reached the task's threshold (a task without one always holds)."""
        return self.threshold is None or (self.value is not None and self.value >= self.threshold)

    def __str__(self) -> str:
        bar = "" if self.threshold is None else f" (the bar is {self.threshold:g})"
        judged = f"{self.metric} {self.value:.4f}{bar}" if self.value is not None else "no metric"
        return f"{self.model}, {self.variant}: {judged}, {self.epochs} epochs, {self.seconds:.0f} s"
