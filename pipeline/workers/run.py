"""Modules run in processes of their own, side by side, each to its end or to a limit."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.progress import advance
from pipeline.workers.limits import LimitReached, Limits, kill_family, resident, told_memory

_LOOK_EVERY_S = 0.02
_LOOKS_A_WATCH = 10  # who asks for the memory of a family of processes reads all of /proc


@dataclass(frozen=True)
class Job:
    """A module to be run in a fresh process.

    Attributes:
        module: of the package, run as `python -P -m`.
        options: of its command line.
        log: the file that its output goes to; None: nowhere.
        temporary: the folder in which it puts what it needs for a while.
        begun: a process that runs it already; None: one is started.
    """

    module: str
    options: tuple[str, ...]
    log: Path | None
    temporary: Path
    begun: subprocess.Popen[bytes] | None = None


def run(jobs: Sequence[Job], limits: Limits) -> list[int | str]:
    """Run jobs side by side: for each its exit status (negative: the signal that ended it), or which limit it reached.

    Whoever is interrupted meanwhile leaves none of them behind.

    Args:
        jobs: to run.
        limits: of each, its children included.
    """
    running: dict[int, subprocess.Popen[bytes]] = {}
    ended: dict[int, int | str] = {}
    status: int | str | None
    end = time.monotonic() + limits.seconds
    try:
        for number, job in enumerate(jobs):
            running[number] = job.begun or _started(job)
        for look in itertools.count():
            if not running:
                break
            for number, process in list(running.items()):
                status = process.poll()
                if status is None and look % _LOOKS_A_WATCH == 0:
                    status = _watched(process, end, limits)
                if status is not None:
                    ended[number] = status
                    del running[number]
                    advance(len(ended), len(jobs))
            time.sleep(_LOOK_EVERY_S)
    finally:
        for process in running.values():
            kill_family(process)
    return [ended[number] for number in range(len(jobs))]


def _started(job: Job) -> subprocess.Popen[bytes]:
    with (job.log or Path(os.devnull)).open("wb") as stream:
        log = stream.fileno()
        return started(job.module, job.options, log, job.temporary, stdin=subprocess.DEVNULL, stdout=log)


def _watched(process: subprocess.Popen[bytes], end: float, limits: Limits) -> str | None:
    """Which limit a process reached, and was ended for; None if it runs on."""
    try:
        watch(process, end, limits)
    except LimitReached as reached:
        kill_family(process)
        return str(reached)
    return None


def started(
    module: str,
    options: Sequence[str],
    log: int,
    temporary: Path,
    environ: Mapping[str, str] | None = None,
    **streams: int,
) -> subprocess.Popen[bytes]:
    """A process that runs a module in a session of its own: a signal to the terminal's group does not reach it."""
    # -P: a file in the caller's folder must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", module, *options]
    whole = {**os.environ, "TMPDIR": str(temporary), **(environ or {})}
    return subprocess.Popen(command, stderr=log, env=whole, start_new_session=True, **streams)  # type: ignore[call-overload,no-any-return]


def watch(process: subprocess.Popen[bytes], end: float, limits: Limits) -> None:
    """Hold a process against its limits; `end` is when its time is over, on the monotonic clock.

    Raises:
        LimitReached: if it is past one.
    """
    if time.monotonic() > end:
        raise LimitReached(f"no answer within {limits.seconds:g} s")
    held = resident(process.pid)
    if held > limits.memory:
        raise LimitReached(f"it took {told_memory(held)} of memory, of {told_memory(limits.memory)} allowed")
