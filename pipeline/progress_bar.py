"""Progress shown to a person: a bar for the stage that runs on a terminal, else a line for each that takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline import progress

_SHOWN_AFTER_S = 2.0  # where no bar comes and goes, what is quick needs no line
_STAGES = {
    "plan": "planning what to ask",
    "traces": "tracing the model",
    "truth": "asking Keras what is right",
    "conversion": "converting to ONNX",
    "artifacts": "writing the other artifacts",
    "verdict": "judging each artifact in a process of its own",
}


@contextmanager
def shown(what: str, console: Console) -> Iterator[None]:
    """Within this block every stage of this thread's work is shown.

    Args:
        what: is being done, such as `exporting siamese`.
        console: to show it on; standard error, so that results can go through a pipe.
    """
    with _bar(what, console) if console.is_terminal else _lines(what, console):
        yield


@contextmanager
def _bar(what: str, console: Console) -> Iterator[None]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(what), total=1.0)
        current = ""

        def tell(told: progress.Progress) -> None:
            nonlocal task, current
            if told.stage != current:
                current = told.stage
                bar.remove_task(task)
                task = bar.add_task(escape(f"{what}: {_STAGES.get(current, current)}"), total=1.0)
            bar.update(task, completed=told.fraction)

        with progress.listening(tell):
            yield


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
