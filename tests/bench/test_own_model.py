"""A user's own model, timed by one command after its export."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pipeline.bench import run as bench_run
from pipeline.bench.plan import Effort
from pipeline.bundle import read_manifest
from pipeline.records import Measurements
from pipeline.store import read_record
from tests.test_cli import run

OWN = """
import keras
from keras import layers


def build():
    x = keras.Input((None, 4), name="x")
    dense = layers.Dense(4, name="shared")
    return keras.Model(x, dense(layers.Activation("tanh")(dense(x))))
"""


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_its_twin_is_made_and_its_sizes_are_told(capsys, tmp_path: Path, monkeypatch) -> None:
    """First what has to be exported, then at which sizes it is timed and how long that takes, then the figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_run, "QUICK", Effort(1, 2, 0.1, {"onnxruntime": 1}))
    (tmp_path / "own.py").write_text(OWN)
    wanted = ("bench", "own.py:build", "--quick", "--size", "time=16")
    status, _, err = run(capsys, *wanted)
    assert status == 2
    hint = err[err.index("run `") + 5 : err.rindex("`")]
    assert hint == "shared-layers export own.py:build"
    assert run(capsys, *shlex.split(hint)[1:])[0] == 0
    status, out, err = run(capsys, *wanted)
    assert status == 0
    told = err.splitlines()
    assert told[0] == "exporting the unshared twin of own.py:build"
    assert told[1] == "own is timed at x_time=16"
    assert told[2].startswith("measuring takes about ")
    assert "at x_time 16" in " ".join(out.split())
    twin = read_manifest(tmp_path / "build/own/unshared/bundle")
    assert (twin.variant, twin.parameters.stored) == ("unshared", 40)
    record = read_record(tmp_path / "benchmarks/results/own/cpu-quick/measurements.json", Measurements)
    assert {tuple(cell.subject.sizes.items()) for cell in record.cells} == {(("x_time", 16),)}
    status, _, err = run(capsys, *wanted)
    assert status == 0
    assert "exporting" not in err
