"""Showing how far training is: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class TrainingDisplay(Protocol):
    """What training tells while it runs."""

    def step(self) -> None:
        """One optimiser step was made."""

    def epoch(self, number: int, loss: float, metric: float | None) -> None:
        """Epoch `number`, counted from 1, ended with this mean loss and this metric on the validation samples."""


@contextmanager
def training_display(title: str, max_epochs: int, steps_in_epoch: int) -> Iterator[TrainingDisplay]:
    """A display on stderr for as long as training runs; the time left is that to the most epochs."""
    if not sys.stderr.isatty():
        yield _Lines(title, max_epochs)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TextColumn("at most"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar, title, max_epochs, steps_in_epoch)


def _figures(number: int, max_epochs: int, loss: float, metric: float | None) -> str:
    validation = "" if metric is None else f", validation {metric:.4f}"
    return f"epoch {number}/{max_epochs}: loss {loss:.4f}{validation}"


@dataclass(frozen=True)
class _Lines:
    title: str
    max_epochs: int

    def step(self) -> None:
        """A log wants no steps."""

    def epoch(self, number: int, loss: float, metric: float | None) -> None:
        """Print the epoch's line."""
        print(f"{self.title}: {_figures(number, self.max_epochs, loss, metric)}", file=sys.stderr, flush=True)


class _Bar:
    def __init__(self, bar: Progress, title: str, max_epochs: int, steps_in_epoch: int) -> None:
        self._bar = bar
        self._max_epochs = max_epochs
        self._row = bar.add_task(title, total=max_epochs * steps_in_epoch, figures=f"epoch 1/{max_epochs}")

    def step(self) -> None:
        """Advance the bar."""
        self._bar.advance(self._row)

    def epoch(self, number: int, loss: float, metric: float | None) -> None:
        """Show the epoch's figures beside the bar."""
        self._bar.update(self._row, figures=_figures(number, self._max_epochs, loss, metric))
