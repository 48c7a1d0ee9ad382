"""Progress shown to a person: one bar for the whole on a terminal, else a line for each stage that takes long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline import progress
from pipeline.whole import Whole

_SHOWN_AFTER_S = 2.0  # where no bar comes and goes, what is quick needs no line
_REFRESHES_PER_S = 4
_STAGES = {
    "model": "loading the model",
    "plan": "planning what to ask",
    "traces": "tracing the model",
    "questions": "finding what it runs on",
    "truth": "asking Keras what is right",
    "conversion": "converting to ONNX",
    "artifacts": "writing the other artifacts",
    "verdict": "judging each artifact in a process of its own",
}
# Seconds of a small model on two cores (`Whole`). Most of the truth is asked beside the conversion.
EXPORT = {
    "model": 6.0,
    "plan": 0.5,
    "traces": 2.0,
    "questions": 4.0,
    "conversion": 1.5,
    "artifacts": 2.0,
    "truth": 2.0,
    "verdict": 5.0,
}
VERIFICATION = {"verdict": 5.0}
VERIFICATION_AGAINST_MODEL = {"model": 6.0, "plan": 0.5, "traces": 2.0, "truth": 8.0, "verdict": 5.0}


@contextmanager
def shown(what: str, console: Console, seconds: Mapping[str, float]) -> Iterator[None]:
    """Within this block every stage of this thread's work is shown.

    Args:
        what: is being done, such as `exporting siamese`.
        console: to show it on; standard error, so that results can go through a pipe.
        seconds: that each of the stages is expected to take, in their order.
    """
    with _bar(what, console, seconds) if console.is_terminal else _lines(what, console):
        yield


@contextmanager
def _bar(what: str, console: Console, seconds: Mapping[str, float]) -> Iterator[None]:
    begun = time.monotonic()
    whole, description = Whole(seconds, begun), what

    def tell(told: progress.Progress) -> None:
        nonlocal description
        description = f"{what}: {_STAGES.get(told.stage, told.stage)}"
        whole.tell(told.stage, told.fraction, time.monotonic())

    def line() -> Table:
        now = time.monotonic()
        return _line(description, whole.fraction(now), now - begun, whole.remaining(now))

    # Of its own, since what is written to file descriptor 2 is held back while TensorFlow is loaded (`quiet`).
    with os.fdopen(os.dup(console.file.fileno()), "w", encoding="utf-8") as stream:
        own = Console(file=stream, width=console.width)
        live = Live(console=own, get_renderable=line, refresh_per_second=_REFRESHES_PER_S, transient=True)
        with live, progress.listening(tell):
            yield


def _line(description: str, fraction: float, elapsed_s: float, remaining_s: float) -> Table:
    """The bar, as wide as the terminal: where that is narrow the description is cut, and no number."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1)
    for _ in range(3):
        grid.add_column(no_wrap=True, justify="right")
    times = (f"{int(100 * fraction)}%", _clock(elapsed_s), f"{_clock(remaining_s)} left")
    grid.add_row(Text(description), ProgressBar(total=1.0, completed=fraction), *times)
    return grid


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def _lines(what: str, console: Console) -> Iterator[None]:
    current, waiting = "", None

    def tell(told: progress.Progress) -> None:
        nonlocal current, waiting
        if told.stage == current and told.fraction < 1:
            return
        if waiting is not None:
            waiting.cancel()
        current = told.stage if told.fraction < 1 else ""
        if current:
            line = f"{what}: {_STAGES.get(current, current)}"
            waiting = threading.Timer(_SHOWN_AFTER_S, lambda: console.print(line, markup=False, soft_wrap=True))
            waiting.daemon = True
            waiting.start()

    try:
        with progress.listening(tell):
            yield
    finally:
        if waiting is not None:
            waiting.cancel()
