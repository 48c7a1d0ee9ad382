"""How long a verdict takes, whole processes: `make prove` prints it for the three bundles of `make export`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.prove, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
RUNS = 3
# Seconds, on two cores.
BARS = {"verify": 30, "its ONNX half": 5, "audit": 1}


def seconds(command: list[str]) -> float:
    """The median wall time of a command that has to succeed."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-P", "-m", *command], cwd=ROOT, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@pytest.mark.parametrize("name", ["two_branch", "siamese", "seq2seq"])
def test_a_verdict_does_not_take_long(name: str) -> None:
    """Of a bundle, of its ONNX half alone, and the standalone audit of its file."""
    bundle = f"exported/{name}"
    onnx = f"{bundle}/model.onnx"
    taken = {
        "verify": seconds(["pipeline", "verify", bundle]),
        "its ONNX half": seconds(["pipeline.verify.onnx_half", "--model", onnx, "--truth", bundle]),
        "audit": seconds(["pipeline", "audit", onnx]),
    }
    print(f"{name}: " + ", ".join(f"{what} {taken[what]:.2f} s (bar {bar} s)" for what, bar in BARS.items()))
    assert all(taken[what] < bar for what, bar in BARS.items())
