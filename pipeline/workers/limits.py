"""What a child process may take, and what it takes."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass

import psutil

# Of the memory that is free when a child starts, what it may fill: the rest is for who waits for it, and the system.
_SHARE_OF_FREE = 0.8


@dataclass(frozen=True)
class Limits:
    """How long a piece of work may take, in seconds, and how much memory its process tree may hold, in bytes."""

    seconds: float
    memory: int


class LimitReached(Exception):
    """A child was ended because it reached a limit; the message is one line that says which."""


def free_memory() -> int:
    """Bytes that a child may fill on this machine as it is now."""
    return int(_SHARE_OF_FREE * psutil.virtual_memory().available)


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold; 0 where there is none any more."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for each in family:
        with suppress(psutil.Error):  # it ended meanwhile
            total += each.memory_info().rss
    return total


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """End a child that leads a session of its own, and its children, and wait for it."""
    with suppress(psutil.Error):
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                each.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def told_memory(bytes_: int) -> str:
    """An amount of memory for a message."""
    return f"{bytes_ / 2**30:.1f} GiB"
