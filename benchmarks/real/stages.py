"""The seconds of an export's stages, noted on disk while it runs: what was done until a limit is known too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from pipeline.progress import Progress, listening

Event = tuple[float, str, float]


@dataclass(frozen=True)
class Stages:
    """Seconds of each stage in order of appearance, and the innermost that had not ended: nothing if all had."""

    seconds: dict[str, float]
    unfinished: str


@contextmanager
def noted(path: Path) -> Iterator[None]:
    """Within this block write when each stage begins, goes on and ends to `path`, a line an event."""
    with path.open("w", encoding="utf-8") as stream, listening(_noter(stream)):
        yield


def events(path: Path) -> list[Event]:
    """What was noted: seconds on one clock, the stage, the fraction of it that was done. Nothing without a file."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [tuple(json.loads(line)) for line in lines[:-1]]  # what a killed process left may end within a line


def durations(noted_events: list[Event], ended_at: float) -> Stages:
    """Seconds in each stage; a stage within another takes its time from it.

    Args:
        noted_events: in order.
        ended_at: when the process ended, on the same clock: a stage that had not ended lasted until then.
    """
    seconds = {stage: 0.0 for _, stage, _ in noted_events}
    within: list[str] = []
    for (since, stage, fraction), (until, following, reached) in pairwise([*noted_events, (ended_at, "", 0.0)]):
        if stage in within:
            del within[within.index(stage) + 1 :]  # an inner stage that an exception left
        else:
            within.append(stage)
        if fraction == 1 and (following, reached > 0) != (stage, True):
            within.pop()
        if within:
            seconds[within[-1]] += until - since
    return Stages(seconds, within[-1] if within else "")


def _noter(stream: TextIO) -> Callable[[Progress], None]:
    last: tuple[str, float] = ("", -1.0)

    def note(progress: Progress) -> None:
        nonlocal last
        now = (progress.stage, progress.fraction)
        both_within = now[0] == last[0] and 0 < now[1] < 1 and last[1] < 1
        last = now
        if not both_within:  # a stage may advance ten thousand times
            stream.write(json.dumps([time.monotonic(), *now]) + "\n")
            stream.flush()

    return note
