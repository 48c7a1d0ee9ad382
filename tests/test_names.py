"""What a model is called, and that nothing of one model is taken for another's or replaced by it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from pipeline.bundle import read_manifest
from pipeline.models import registry
from pipeline.models.task import Task
from pipeline.records import TrainingRecord
from pipeline.store import read_record
from tests.test_cli import run

BUILDER = """
import keras
from keras import layers


def build():
    x = keras.Input((4,), name="x")
    dense = layers.Dense({units}, name="shared")
    return keras.Model(x, dense(x) - dense(x * 2))


triplet = build
"""
TRAINED = """
from dataclasses import replace

from tests.training.small_task import TASK


def task():
    return replace(TASK, threshold={threshold})
"""
QUICK = ("--formats", "onnx", "--effort", "quick")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working folder with two files of one name."""
    for number, place in enumerate(("one", "two"), start=2):
        (tmp_path / place).mkdir()
        (tmp_path / place / "net.py").write_text(BUILDER.format(units=number))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.matrix
def test_functions_of_one_file_have_bundles_of_their_own(capsys, folder) -> None:
    """And the twin has one where both go to one folder."""
    assert run(capsys, "export", "one/net.py:build", "one/net.py:triplet", *QUICK)[0] == 0
    assert run(capsys, "export", "one/net.py:build", "--output", "out", *QUICK)[0] == 0
    assert run(capsys, "export", "one/net.py:build", "--output", "out", "--variant", "unshared", *QUICK)[0] == 0
    assert {each.name for each in (folder / "exported").iterdir()} == {"net", "net-triplet"}
    assert {each.name: read_manifest(each).variant for each in (folder / "out").iterdir()} == {
        "net": "shared",
        "net-unshared": "unshared",
    }


def test_a_bundle_of_another_file_is_replaced_only_if_that_is_said(capsys, folder) -> None:
    """The refusal names what does it; the same file, edited, replaces its own bundle."""
    assert run(capsys, "export", "one/net.py:build", *QUICK)[0] == 0
    before = (folder / "exported/net/manifest.json").read_bytes()
    status, _, err = run(capsys, "export", "two/net.py:build", *QUICK)
    assert (status, len(err.strip().splitlines())) == (2, 1)
    assert "exported/net is the bundle of another net.py:build: give this one a name of its own by --name NAME" in err
    assert (folder / "exported/net/manifest.json").read_bytes() == before
    assert run(capsys, "export", "two/net.py:build", "--name", "wide", *QUICK)[0] == 0
    assert read_manifest(folder / "exported/wide").model == "wide"
    (folder / "one/net.py").write_text(BUILDER.format(units=5))
    assert run(capsys, "export", "one/net.py:build", *QUICK)[0] == 0
    assert run(capsys, "export", "two/net.py:build", "--replace", *QUICK)[0] == 0
    assert read_manifest(folder / "exported/net").parameters.stored == 15


def test_a_name_is_for_one_model(capsys, folder) -> None:
    """Else the second would replace the first."""
    status, _, err = run(capsys, "export", "one/net.py:build", "two/net.py:build", "--name", "net", *QUICK)
    assert status == 2
    assert "--name is for one model" in err


@pytest.mark.matrix
def test_trained_weights_of_another_file_are_neither_taken_nor_replaced(capsys, folder) -> None:
    """What the refusal prints is typed as it stands."""
    for place, threshold in (("one", 0.5), ("two", 0.4)):
        (folder / place / "net.py").write_text(TRAINED.format(threshold=threshold))
    trained = folder / "build/net/shared/trained"
    assert run(capsys, "train", "one/net.py:task")[0] == 0
    before = (trained / "training.json").read_bytes()
    for command in (("train", "two/net.py:task"), ("export", "two/net.py:task", *QUICK)):
        status, _, err = run(capsys, *command)
        assert (status, len(err.strip().splitlines())) == (2, 1)
        assert "build/net/shared/trained holds what was trained of another net.py:task" in err
    assert (trained / "training.json").read_bytes() == before
    told = err[err.index("`") + 1 : err.rindex("`")]
    assert shlex.split(told)[0] == "shared-layers"
    assert run(capsys, *shlex.split(told)[1:])[0] == 0
    assert read_record(trained / "training.json", TrainingRecord).threshold == 0.4
    assert run(capsys, "export", "two/net.py:task", *QUICK)[0] == 0


@pytest.mark.matrix
def test_what_changed_since_it_was_trained_is_trained_again_as_the_hint_says(capsys, folder) -> None:
    """With the options that the model was given, the variant too."""
    (folder / "one/net.py").write_text(TRAINED.format(threshold=0.5))
    given = ("one/net.py:task", "--variant", "unshared", "--name", "mine")
    assert run(capsys, "train", *given)[0] == 0
    (folder / "one/net.py").write_text(TRAINED.format(threshold=0.3))
    status, _, err = run(capsys, "export", *given, *QUICK)
    assert status == 2
    told = err[err.index("`") + 1 : err.rindex("`")]
    assert told == "shared-layers train one/net.py:task --variant unshared --name mine"
    assert run(capsys, *shlex.split(told)[1:])[0] == 0
    assert run(capsys, "export", *given, *QUICK)[0] == 0


@pytest.mark.matrix
def test_what_a_failed_verdict_says_to_see_it_again_is_typed_as_it_stands(capsys, folder) -> None:
    """With the model that it was held against, without which it would pass."""
    given = ("one/net.py:build", "--name", "mine")
    assert run(capsys, "export", *given, *QUICK)[0] == 0
    (folder / "one/net.py").write_text(BUILDER.format(units=2).replace("dense(x * 2)", "dense(x * 3)"))
    assert run(capsys, "verify", "exported/mine")[0] == 0
    assert run(capsys, "verify", "exported/mine", "--failures", "elsewhere", "--model", *given)[0] == 1
    assert not (folder / "build").exists()
    assert run(capsys, "verify", "exported/mine", "--model", *given)[0] == 1
    (failure,) = (folder / "build/failures").iterdir()
    told = (failure / "verdict.txt").read_text().strip().splitlines()[-1].removeprefix("to see it again: ")
    assert told == "shared-layers verify exported/mine --model one/net.py:build --name mine"
    assert run(capsys, *shlex.split(told)[1:])[0] == 1


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_hints_lead_from_nothing_to_figures(capsys, tmp_path, monkeypatch) -> None:
    """Each refusal names the command that helps, which is typed as it was printed, until the command holds."""
    monkeypatch.chdir(tmp_path)
    typed: list[str] = []
    wanted = ["export", "two_branch", *QUICK]
    for _ in range(4):
        status, _, err = run(capsys, *wanted)
        if status == 0:
            break
        assert status == 2
        typed.append(err[err.index("`") + 1 : err.rindex("`")])
        assert run(capsys, *shlex.split(typed[-1])[1:])[0] == 0
    assert status == 0
    assert typed == ["shared-layers train two_branch"]


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_what_was_trained_on_other_data_verifies_with_it(capsys, tmp_path, monkeypatch) -> None:
    """And without it is another source, which the refusal says with the command that helps."""
    monkeypatch.chdir(tmp_path)
    table = load_digits()
    pixels = (zoom(table.images / 16.0, (1, 3.5, 3.5), order=1) * 255).astype("uint8")
    archive = {"x_train": pixels[:1500], "y_train": table.target[:1500]}
    np.savez(tmp_path / "own.npz", **archive, x_test=pixels[1500:], y_test=table.target[1500:])
    given = ("siamese", "--data", "own.npz")
    whole = registry.task_of

    def of_one_epoch(name: str, data: Path | None) -> Task:  # the bar is that of the built-in data, and of fifteen
        task = whole(name, data)
        return replace(task, threshold=0.4, fit=replace(task.fit, max_epochs=1))

    monkeypatch.setattr(registry, "task_of", of_one_epoch)
    assert run(capsys, "train", *given)[0] == 0
    status, _, err = run(capsys, "export", "siamese", *QUICK)
    assert (status, "run `shared-layers train siamese` again" in err) == (2, True)
    assert run(capsys, "export", *given, *QUICK)[0] == 0
    assert run(capsys, "verify", "siamese", "--model", *given)[0] == 0
