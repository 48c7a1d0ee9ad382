"""A user's own model, timed by one command after its export."""

from __future__ import annotations

import shlex
from pathlib import Path

import keras
import pytest

from pipeline import stages
from pipeline.bench import run as bench_run
from pipeline.bench.plan import Effort
from pipeline.bundle import read_manifest, write_manifest
from pipeline.records import Measurements, Source
from pipeline.store import read_record
from tests.small_bundle import write_bundle
from tests.test_cli import run

OWN = """
import keras
import numpy as np
from keras import layers
from pipeline import Arrays, FitPlan, Task


def build():
    x = keras.Input((None, 4), name="x")
    dense = layers.Dense(4, name="shared")
    return keras.Model(x, dense(layers.Activation("tanh")(dense(x))), name="own")


def data():
    rows = Arrays({"x": np.ones((32, 7, 4), "float32")}, {"shared": np.ones((32, 7, 4), "float32")})
    return rows, rows


def task():
    return Task(build, data=data, fit=FitPlan("mean_squared_error", lambda steps: keras.optimizers.Adam()))
"""


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_its_twin_is_made_and_its_sizes_are_told(capsys, tmp_path: Path, monkeypatch) -> None:
    """First what has to be exported, then at which sizes it is timed and how long that takes, then the figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_run, "QUICK", Effort(1, 2, 0.1, {"onnxruntime": 1}))
    (tmp_path / "own.py").write_text(OWN)
    wanted = ("bench", "own.py:task", "--quick", "--size", "time=16")
    status, _, err = run(capsys, *wanted)
    assert status == 2
    hint = err[err.index("run `") + 5 : err.rindex("`")]
    assert hint == "shared-layers export own.py:task"
    assert run(capsys, *shlex.split(hint)[1:])[0] == 0
    status, out, err = run(capsys, *wanted)
    assert status == 0
    told = err.splitlines()
    assert told[0] == "exporting the unshared twin of own.py:task"
    assert told[1] == "own is timed at x_time=16"
    assert told[2] == "measuring 1/1: trying keras, to see how long it takes"
    assert told[3].startswith("measuring takes about ")
    assert "at x_time 16" in " ".join(out.split())
    twin = read_manifest(tmp_path / "build/own/unshared/bundle")
    assert (twin.variant, twin.parameters.stored) == ("unshared", 40)
    record = read_record(tmp_path / "benchmarks/results/own/cpu-quick/measurements.json", Measurements)
    sizes = {(cell.subject.work, tuple(cell.subject.sizes.items()), cell.note) for cell in record.cells}
    own = "on the task's own samples, x_time 7"
    assert sizes == {("inference", (("x_time", 16),), ""), ("training_step", (("x_time", 7),), own)}
    assert own in " ".join(out.split())
    status, _, err = run(capsys, *wanted)
    assert status == 0
    assert "exporting" not in err


def test_a_bundle_of_another_source_is_not_timed(capsys, tmp_path: Path, monkeypatch) -> None:
    """Neither the bundle nor the twin; the hint is a command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    own = stages.resolve(stages.Reference("own.py:build"))
    folders = {"": tmp_path / "exported/own", " --variant unshared": tmp_path / "build/own/unshared/bundle"}
    for folder in folders.values():
        folder.mkdir(parents=True)
        write_bundle(folder)
    for option, folder in folders.items():
        say_source(folder, Source(text="own.py:build", sha256="0" * 64))
        status, _, err = run(capsys, "bench", "own.py:build", "--quick")
        assert status == 2
        assert f"{folder.relative_to(tmp_path)} is the bundle of another own.py:build: run `" in err
        assert f"`shared-layers export own.py:build{option} --replace`" in err
        say_source(folder, own.source(folder))


def say_source(folder: Path, source: Source) -> None:
    """Let a bundle say that it comes from somewhere."""
    write_manifest(folder, read_manifest(folder).model_copy(update={"source": source}))


def test_verify_takes_the_reference_of_an_h5_file(capsys, tmp_path: Path, monkeypatch) -> None:
    """As every command does."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Dense(2)(x)).save("old.h5")
    (tmp_path / "exported/old").mkdir(parents=True)
    write_bundle(tmp_path / "exported/old")
    status, out, _ = run(capsys, "verify", "old.h5")
    assert (status, out.splitlines()[0]) == (0, "exported/old: passed")
