"""Showing on stderr how far a measurement is: a bar on a terminal, a line a process elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

_TOLD_IN_SECONDS = 90.0


class Display:
    """Counts worker processes, each one unit of work."""

    def __init__(self, total: int, bar: Progress | None, row: TaskID | None):
        self._total = total
        self._bar = bar
        self._row = row
        self._done = 0

    def start(self, title: str) -> None:
        """One more process begins."""
        self._title = title
        if self._bar is None:
            print(f"measuring {self._done + 1}/{self._total}: {title}", file=sys.stderr, flush=True)

    def within(self, fraction: float, step: str) -> None:
        """The process that runs is this far, and does this."""
        self._show(self._done + fraction, f"{self._title}: {step}")

    def finish(self) -> None:
        """The process has ended."""
        self._done += 1
        self._show(self._done, self._title)

    def _show(self, done: float, text: str) -> None:
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, completed=done, description=text)
            self._bar.refresh()


@contextmanager
def display(processes: int, seconds: float | None = None) -> Iterator[Display]:
    """A display for so many worker processes, which says first about how long they take, if that is known.

    It draws only when a worker tells something: a bar that refreshes by itself would take time from what is measured.
    """
    if seconds is not None:
        told = f"{seconds:.0f} seconds" if seconds < _TOLD_IN_SECONDS else f"{seconds / 60:.0f} minutes"
        print(f"measuring takes about {told}: {processes} processes, one after the other", file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        yield Display(processes, None, None)
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        yield Display(processes, bar, bar.add_task("starting", total=processes))
