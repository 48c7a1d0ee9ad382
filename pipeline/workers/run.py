"""Modules run in processes of their own, side by side, each to its end or to a limit."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pipeline.progress import advance
from pipeline.workers.limits import LimitReached, Limits, kill_family, resident, told_memory

# One processor's single precision is not a GPU's, which rounds to ten bits in products (TF32): what is judged, and what
# it is judged by, is answered by a CPU.
ON_THE_CPU: Mapping[str, str] = MappingProxyType({"CUDA_VISIBLE_DEVICES": "-1"})

WITH_PARENT = "pipeline.workers.with_parent"  # runs a module that does not look at its standard input

_LOOK_EVERY_S = 0.02
_LOOKS_A_WATCH = 10  # who asks for the memory of a family of processes reads all of /proc


@dataclass(frozen=True)
class Job:
    """A module to be run in a fresh process, on the CPU.

    Attributes:
        module: of the package, run as `python -P -m`.
        options: of its command line.
        log: the file that its output goes to; None: nowhere.
        temporary: the folder in which it puts what it needs for a while.
        begun: a process that runs it already; None: one is started.
        answers: the files in which it answers, where it may go on afterwards. Once all of them are there it is past the
            limit of time, and has another.
        afterwards_s: that one, in seconds, counted anew whenever it writes one of them again.
    """

    module: str
    options: tuple[str, ...]
    log: Path | None
    temporary: Path
    begun: subprocess.Popen[bytes] | None = None
    answers: tuple[Path, ...] = ()
    afterwards_s: float = 0.0

    def idle_s(self) -> float | None:
        """Seconds since it wrote an answer; None while one is missing, or there are none to write."""
        try:
            written = [path.stat().st_mtime for path in self.answers]
        except FileNotFoundError:
            return None
        return time.time() - max(written) if written else None


def run(jobs: Sequence[Job], limits: Limits) -> list[int | str]:
    """Run jobs side by side: for each its exit status (negative: the signal that ended it), or which limit it reached.

    Whoever is interrupted meanwhile leaves none of them behind, and whoever is killed leaves none for long.

    Args:
        jobs: to run.
        limits: the time of each; the memory of all together: of those that take too much the largest is ended, one that
            has answered before one that has not.
    """
    running: dict[int, subprocess.Popen[bytes]] = {}
    ended: dict[int, int | str] = {}
    end = time.monotonic() + limits.seconds
    try:
        for number, job in enumerate(jobs):
            running[number] = job.begun or _started(job)
        for look in itertools.count():
            if not running:
                break
            polled = {number: process.poll() for number, process in running.items()}
            found: dict[int, int | str] = {number: status for number, status in polled.items() if status is not None}
            if not found and look % _LOOKS_A_WATCH == 0:
                found = _past_limits(jobs, running, end, limits)
            for number, status in found.items():
                ended[number] = status
                close_stdin(running.pop(number))
                advance(len(ended), len(jobs))
            time.sleep(_LOOK_EVERY_S)
    finally:
        for process in running.values():
            kill_family(process)
            close_stdin(process)
    return [ended[number] for number in range(len(jobs))]


def _past_limits(
    jobs: Sequence[Job], running: Mapping[int, subprocess.Popen[bytes]], end: float, limits: Limits
) -> dict[int, int | str]:
    """Which limit each process reached, and was ended for; of those that run on nothing."""
    idle = {number: seconds for number in running if (seconds := jobs[number].idle_s()) is not None}
    late = {number: jobs[number].afterwards_s for number in idle if idle[number] > jobs[number].afterwards_s}
    if time.monotonic() > end:
        late |= {number: limits.seconds for number in running if number not in idle}
    found = {number: f"no answer within {seconds:g} s" for number, seconds in late.items()}
    if not found:
        taken = {number: resident(process.pid) for number, process in running.items()}
        largest = max(idle or running, key=lambda number: taken[number])
        found = {largest: _too_much(taken[largest], limits)} if sum(taken.values()) > limits.memory else {}
    for number in found:
        kill_family(running[number])
    return dict(found)


def _started(job: Job) -> subprocess.Popen[bytes]:
    with (job.log or Path(os.devnull)).open("wb") as stream:
        log = stream.fileno()
        options = (job.module, *job.options)
        return started(WITH_PARENT, options, log, job.temporary, ON_THE_CPU, stdin=subprocess.PIPE, stdout=log)


def started(
    module: str,
    options: Sequence[str],
    log: int,
    temporary: Path,
    environ: Mapping[str, str] | None = None,
    **streams: int,
) -> subprocess.Popen[bytes]:
    """A process that runs a module in a session of its own: a signal to the terminal's group does not reach it.

    Its standard input is a pipe whose other end is held here: the module has to end the process when that ends.
    """
    # -P: a file in the caller's folder must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", module, *options]
    whole = {**os.environ, "TMPDIR": str(temporary), **(environ or {})}
    return subprocess.Popen(command, stderr=log, env=whole, start_new_session=True, **streams)  # type: ignore[call-overload,no-any-return]


def close_stdin(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Give back the pipe to a process that has ended."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def watch(process: subprocess.Popen[bytes], end: float, limits: Limits, held: int = 0) -> None:
    """Hold a process against its limits.

    Args:
        process: and its children.
        end: when its time is over, on the monotonic clock.
        limits: of its work.
        held: bytes of memory that it held before.

    Raises:
        LimitReached: if it is past one.
    """
    if time.monotonic() > end:
        raise LimitReached(f"no answer within {limits.seconds:g} s")
    taken = resident(process.pid) - held
    if taken > limits.memory:
        raise LimitReached(_too_much(taken, limits))


def _too_much(taken: int, limits: Limits) -> str:
    return f"it took {told_memory(taken)} of memory, of {told_memory(limits.memory)} allowed"
