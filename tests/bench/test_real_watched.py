"""A process tree watched from outside: its memory, its limits, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.real.watched import Ended, Limits, run_watched

ROOMY = Limits(seconds=60, tree_bytes=4_000_000_000)
MB = 1_000_000
REPOSITORY = Path(__file__).parents[2]

# A parent that waits for two children; each holds 100 MB for a while.
TWO_CHILDREN = """
import subprocess, sys
child = [sys.executable, "-c", "import time; held = b'x' * 100_000_000; time.sleep(1)"]
started = [subprocess.Popen(child) for _ in range(2)]
[each.wait() for each in started]
"""

# A small process that watches a child of a moment.
WATCHES = """
import os, sys
from pathlib import Path
from benchmarks.real.watched import Limits, run_watched
command = [sys.executable, "-c", sys.argv[2]]
print(run_watched(command, Path(sys.argv[1]), Limits(60, 4_000_000_000), os.environ).largest_bytes)
"""

# A child in a session of its own, which outlives its parent; its number goes to a file.
ORPHAN = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(float(sys.argv[2]))
"""


def watched(folder: Path, limits: Limits, code: str, *arguments: str) -> Ended:
    """Run Python code in a tree that is watched."""
    return run_watched([sys.executable, "-c", code, *arguments], folder / "log.txt", limits, os.environ)


def test_the_largest_process_and_the_whole_tree_are_measured(tmp_path: Path) -> None:
    """A child counts whole, and both together for the tree."""
    ended = watched(tmp_path, ROOMY, TWO_CHILDREN)
    assert (ended.status, ended.reached) == (0, "")
    assert 100 * MB < ended.largest_bytes < 190 * MB
    assert ended.tree_bytes > 200 * MB


def test_a_process_that_ends_between_two_looks_is_measured_too(tmp_path: Path) -> None:
    """By what the system kept of it, where it is more than the watching process holds."""
    command = [sys.executable, "-c", WATCHES, str(tmp_path / "log.txt"), "held = b'x' * 150_000_000"]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert 150 * MB < int(told) < 250 * MB


def test_what_the_watching_process_holds_is_not_counted(tmp_path: Path) -> None:
    """A child starts with it, and the system keeps that as the child's peak."""
    held = bytearray(200 * MB)
    held[::4096] = b"x" * len(held[::4096])
    assert watched(tmp_path, ROOMY, "import time; time.sleep(0.5)").largest_bytes < 100 * MB
    assert held


def test_the_status_and_the_output_are_kept(tmp_path: Path) -> None:
    """A signal is negative; what it leaves in its current folder lies beside its output."""
    assert watched(tmp_path, ROOMY, "print('said'); open('left', 'w'); raise SystemExit(3)").status == 3
    assert (tmp_path / "log.txt").read_text().strip() == "said"
    assert (tmp_path / "left").is_file()
    assert watched(tmp_path, ROOMY, "import os; os.abort()").status == -6


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(seconds=1.5, tree_bytes=4_000_000_000), "ended at its limit of 1.5 s"),
        (Limits(seconds=60, tree_bytes=1_000_000), "ended at its limit of 0.001 GB"),
    ],
)
def test_at_a_limit_the_whole_tree_is_ended(tmp_path: Path, limits: Limits, told: str) -> None:
    """And the limit is told."""
    ended = watched(tmp_path, limits, ORPHAN, str(tmp_path / "pid"), "60")
    assert ended.reached == told
    assert ended.seconds < 30
    assert not (tmp_path / "pid").is_file() or _is_gone(tmp_path / "pid")


def test_what_outlives_its_parent_is_ended_with_it(tmp_path: Path) -> None:
    """Also in a session of its own."""
    assert watched(tmp_path, ROOMY, ORPHAN, str(tmp_path / "pid"), "1").status == 0
    assert _is_gone(tmp_path / "pid")


def _is_gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
