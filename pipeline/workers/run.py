"""A module run in a process of its own, to its end or to a limit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipeline.workers.limits import LimitReached, Limits, kill_family, resident, told_memory

_LOOK_EVERY_S = 0.05


def run(module: str, options: list[str], log: int, temporary: Path, limits: Limits) -> int:
    """Run a module in a fresh process: its exit status (negative: the signal that ended it).

    Args:
        module: of the package, run as `python -P -m`.
        options: of its command line.
        log: the file that its output goes to.
        temporary: where it puts what it needs for a while.
        limits: of the process and its children.

    Raises:
        LimitReached: if it took more than it may; it and its children are ended then.
    """
    process = started(module, options, log, temporary, stdin=subprocess.DEVNULL, stdout=log)
    try:
        end = time.monotonic() + limits.seconds
        while True:
            try:
                return process.wait(_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                watch(process, end, limits)
    finally:
        if process.poll() is None:
            kill_family(process)


def started(
    module: str, options: list[str], log: int, temporary: Path, environ: Mapping[str, str] | None = None, **streams: int
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
