"""Children do not outlive who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.bundle import read_manifest
from tests.small_bundle import write_bundle, write_manifest
from tests.verify.test_reported import looping_model, save_looping

ROOT = Path(__file__).parents[2]
LOADED_S = 6.0  # a child has loaded what it needs, TensorFlow too, once it has computed for longer
JOB = """
    from pathlib import Path
    from pipeline.workers.limits import Limits
    from pipeline.workers.run import Job, run
    loop = ("-n", "1", "-r", "1", "while True: pass")
    run([Job("timeit", loop, None, Path("."))], Limits(600.0, 2**40))
"""
HALF = """
    from pathlib import Path
    from pipeline.verify.verdict import verify_directory
    verify_directory(Path("views"))
"""
WAITING_HALF = """
    from pathlib import Path
    from pipeline.verify.verdict import tensorflow_ready, verify_directory
    with tensorflow_ready() as waiting:
        verify_directory(Path("views"), waiting=waiting)
"""
WORKER = """
    from pipeline.measure.progress import display
    from pipeline.measure.protocol import Plan, Worker, measure
    from tests.measure.workloads import LOADER, subject
    with display(1) as shown:
        measure(Plan(subjects=(subject("endless"),), processes=1, rounds=1, budget_s=1.0), Worker(LOADER), shown)
"""


def endless_bundle(folder: Path, *, has_saved_model: bool) -> None:
    """A bundle whose artifacts never answer."""
    write_bundle(folder, looping_model(least=-np.inf))
    if has_saved_model:
        save_looping(folder / "saved_model", least=-np.inf)
        write_manifest(folder, read_manifest(folder).truth)


@pytest.mark.parametrize(
    ("code", "children", "kind"),
    [
        pytest.param(JOB, 1, signal.SIGKILL, marks=pytest.mark.matrix),
        pytest.param(WORKER, 1, signal.SIGKILL, marks=pytest.mark.matrix),
        pytest.param(HALF, 1, signal.SIGKILL, marks=pytest.mark.matrix),
        pytest.param(HALF, 1, signal.SIGTERM, marks=pytest.mark.matrix),
        pytest.param(WAITING_HALF, 2, signal.SIGKILL, marks=pytest.mark.matrix),
    ],
    ids=["job", "worker", "half", "half-SIGTERM", "waiting half"],
)
def test_children_that_compute_for_ever_end_with_their_parent(
    tmp_path, code: str, children: int, kind: signal.Signals
) -> None:
    """However that was ended; whether they are in Python or in a runtime's own code."""
    endless_bundle(tmp_path / "views", has_saved_model=children > 1)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, start_new_session=True) as parent:
        found = _busy_children(psutil.Process(parent.pid), children)
        parent.send_signal(kind)
    _, alive = psutil.wait_procs(found, timeout=15)
    for child in alive:
        child.kill()
    assert not alive


def _busy_children(parent: psutil.Process, count: int) -> list[psutil.Process]:
    """So many children, once each has computed for a while."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        busy = [child for child in parent.children() if child.cpu_times().user > LOADED_S]
        if len(busy) == count:
            return busy
        time.sleep(0.1)
    parent.kill()
    raise AssertionError("not all children compute")
