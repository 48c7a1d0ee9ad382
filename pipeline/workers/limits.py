"""What a child process may take, and what it takes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# Of the memory that is free when a child starts, what it may fill: the rest is for who waits for it, and the system.
_SHARE_OF_FREE = 0.8


@dataclass(frozen=True)
class Limits:
    """How long a piece of work may take, in seconds, and how much memory its process tree may take for it, in bytes.

    What the tree holds already when it is asked does not count: it is no longer free.
    """

    seconds: float
    memory: int


class LimitReached(Exception):
    """A child was ended because it reached a limit; the message is one line that says which."""


def free_memory() -> int:
    """Bytes that a child may fill on this machine, or in this container, as it is now."""
    return int(_SHARE_OF_FREE * min(psutil.virtual_memory().available, left_in_groups()))


def left_in_groups(root: Path = Path("/")) -> int:
    """Bytes that the control groups of this process leave it, under a root folder of the system; many if none says.

    A container's limit is its group's: the machine's memory says nothing of it. Files of groups are described in
    "Control Group v2" (memory.max, memory.current) and "Memory Resource Controller" (version 1) of the Linux kernel's
    documentation. What is cached of files is given back when it is needed (inactive_file).
    """
    left = [1 << 62]
    for group, limit, usage in _groups(root):
        with suppress(OSError, ValueError):
            most = int((group / limit).read_text())  # "max" where there is none
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            cached = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
            left.append(max(0, most - int((group / usage).read_text()) + cached))
    return min(left)


def _groups(root: Path) -> Iterator[tuple[Path, str, str]]:
    """The folders of the groups that this process is in, up to the topmost, with the names of limit and usage."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        own = Path(path.lstrip("/"))
        for group in (own, *own.parents):  # the last is ".", which is the container's own where its path is not seen
            yield (top / group, *names)


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
