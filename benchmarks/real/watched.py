"""One command in a process tree of its own, watched: its memory, and an end at limits of time and memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.measure.memory import peak_bytes

# Looking takes some milliseconds of one core; memory grows by some hundred MB in this time at most.
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_DIE = 10.0
_KIB = 1024


@dataclass(frozen=True)
class Limits:
    """How long a tree may run, and how much it may hold, all of its processes together."""

    seconds: float
    tree_bytes: int


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: the signal), or the limit that was `reached`.

    `largest_bytes` is the peak resident set of the largest process, `tree_bytes` the most that the tree was seen to
    hold at once (pages that processes share are counted for each).
    """

    status: int
    seconds: float
    largest_bytes: int
    tree_bytes: int
    reached: str = ""


def run_watched(command: Sequence[str], log: Path, limits: Limits, environ: Mapping[str, str]) -> Ended:
    """Run a command to its end or to a limit; whatever it started is ended with it.

    Both its streams go to `log`, whose folder is its current one.
    """
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=log.parent,
            env=environ,
            start_new_session=True,
        )
    tree = _Tree(psutil.Process(process.pid))
    reached = ""
    try:
        while not _is_over(process, tree):
            tree.look()
            reached = _limit_reached(tree, time.perf_counter() - started, limits)
            if reached:
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        tree.end()
        while not _is_over(process, tree):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    return Ended(process.returncode, seconds, tree.largest_bytes, tree.tree_bytes, reached)


@dataclass
class _Tree:
    """A process and all that came from it; those seen once are remembered when their parent ends.

    What it held counts when two looks in a row have seen it: for a moment a child shows all the memory of its parent.
    """

    root: psutil.Process
    seen: set[psutil.Process] = field(default_factory=set)
    largest_bytes: int = 0
    tree_bytes: int = 0
    held_bytes: int = 0
    last_bytes: int = 0

    def look(self) -> None:
        """Take the memory of every process that is there now."""
        with contextlib.suppress(psutil.Error):
            self.seen |= {self.root, *self.root.children(recursive=True)}
        total = 0
        for process in self.seen:
            with contextlib.suppress(psutil.Error, OSError):
                resident, peak = _memory(process)
                total += resident
                self.largest_bytes = max(self.largest_bytes, peak)
        self.held_bytes, self.last_bytes = min(total, self.last_bytes), total
        self.tree_bytes = max(self.tree_bytes, self.held_bytes)

    def end(self) -> None:
        """Kill what still runs, and wait until it is gone."""
        with contextlib.suppress(psutil.Error):
            self.seen |= {self.root, *self.root.children(recursive=True)}
        for process in self.seen:
            with contextlib.suppress(psutil.Error):
                process.kill()  # psutil compares start times: never another process of the same number
        until = time.monotonic() + _SECONDS_TO_DIE
        while any(_is_alive(process) for process in self.seen) and time.monotonic() < until:
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _memory(process: psutil.Process) -> tuple[int, int]:
    """Bytes resident now and at the peak; where there is no /proc the peak is what is seen now."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.is_file() or not process.is_running():
        resident = int(process.memory_info().rss)
        return resident, resident
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if line.startswith(("VmRSS", "VmHWM")))
    resident, peak = (int(lines.get(key, "0 kB").split()[0]) * _KIB for key in ("VmRSS", "VmHWM"))
    return resident, peak


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still holds anything: one that nobody has waited for yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_over(process: subprocess.Popen[bytes], tree: _Tree) -> bool:
    """Whether it has ended; then the peak that the system kept for it and for all that it waited for counts too.

    A process that ends between two looks is in that one. So is this process, whose memory a child starts with: a peak
    that is not larger tells nothing.
    """
    if process.returncode is not None:
        return True
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if pid == 0:
        return False
    process.returncode = os.waitstatus_to_exitcode(status)
    kept = usage.ru_maxrss * (1 if sys.platform == "darwin" else _KIB)
    tree.largest_bytes = max(tree.largest_bytes, kept if kept > peak_bytes() else 0)
    return True


def _limit_reached(tree: _Tree, seconds: float, limits: Limits) -> str:
    if seconds > limits.seconds:
        return f"ended at its limit of {limits.seconds:g} s"
    if tree.held_bytes > limits.tree_bytes:
        return f"ended at its limit of {limits.tree_bytes / 1e9:g} GB"
    return ""
