"""How far long work has come, told to whoever listens: a terminal, a log, a table of times.

Work says `with stage("truth"):` and `advance(done, total)`; it never knows who listens. Each thread has its own
listeners, so that two exports at once don't tell each other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A stage, and the fraction of it that is done: 0.0 when it starts, 1.0 when it has ended."""

    stage: str
    fraction: float


Listener = Callable[[Progress], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())
_stage: ContextVar[str] = ContextVar("stage", default="")


@contextmanager
def listening(listener: Listener, *, alone: bool = False) -> Iterator[None]:
    """Within this block `listener` is told of every stage that this thread begins, advances in and ends.

    If it is `alone` those who listened before are not told.
    """
    token = _listeners.set((*(() if alone else _listeners.get()), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Within this block the work is at stage `name`; one inside another is told by its own name."""
    token = _stage.set(name)
    _tell(0.0)
    try:
        yield
        _tell(1.0)
    finally:
        _stage.reset(token)


def advance(done: float, total: float) -> None:
    """Say how much of the current stage is done, in any unit; nothing outside of a stage."""
    if _stage.get() and total > 0:
        _tell(min(1.0, done / total))


def _tell(fraction: float) -> None:
    for listener in _listeners.get():
        listener(Progress(_stage.get(), fraction))
