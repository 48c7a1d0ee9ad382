"""A few rows of the tables of faults and alarms, which `make prove` prints whole."""

from __future__ import annotations

from pathlib import Path

import keras
import onnx
import pytest

from tests.faults import alarms, onnx_faults, table
from tests.faults.excuses import Fresh
from tests.zoo.subject import Subject, export, fresh_model

BUDGET, FOLLOWS = "onnx output ... within budget", "onnx follows each shared weight"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Subject:
    """A sound export of a masked encoder and decoder that share their layers."""
    found = export("masked_encoder_decoder", tmp_path_factory.mktemp("sound"))
    assert isinstance(found, Subject)
    return found


@pytest.fixture(scope="module")
def tried(sound, tmp_path_factory) -> dict[str, table.Tried]:
    """Every fault that fits it."""
    rows = table._in_file(sound.name, sound.model, sound.folder, tmp_path_factory.mktemp("spoilt"), set())
    return {row.fault: row for row in rows}


def test_a_sound_file_is_caught_by_nothing(sound) -> None:
    """Else the others prove nothing."""
    assert sound.verdict.passed, sound.verdict


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("one weight changed by a ten thousandth", BUDGET),
        ("one bias dropped", BUDGET),
        ("weights rounded to half precision", BUDGET),
        ("a gate order permuted", BUDGET),
        ("a mask ignored", BUDGET),
        ("the last output taken for the last state", BUDGET),
        ("randomness left on", BUDGET),
        ("a call site given its own copy", FOLLOWS),
        ("a call site given its own copy", "each weight is stored once"),
        ("an output renamed", "onnx outputs bear Keras' names, shapes and dtypes"),
        ("the batch axis fixed to one", "onnx runs every case"),
        ("the opset lowered", "opset is the one exported to"),
    ],
)
def test_a_fault_is_caught_by_the_check_that_is_there_for_it(tried, fault, check) -> None:
    """Each fault by the name of its check."""
    assert check in tried[fault].caught_by


def test_a_change_below_the_error_of_float32_is_seen_by_the_weights_own_values_alone(tried) -> None:
    """A unit in the last place of one element: no answer tells."""
    assert tried["the lowest bit of one element flipped"].caught_by == ("every weight holds Keras' own values",)


def test_nothing_is_missed(tried) -> None:
    """In this model."""
    assert [row.fault for row in tried.values() if not row.caught_by] == []


def measured(subject: Subject, folder: Path, fault: str) -> float:
    """How far a fault moves a file's answers."""
    spoilt = onnx.load(subject.path)
    assert onnx_faults.FAULTS[fault](spoilt)
    return _fresh(subject.model, folder).moved_in_files(subject.proto, spoilt)


def _fresh(model: keras.Model, folder: Path) -> Fresh:
    return Fresh(model, folder, seeds=(1,), effort="quick")


@pytest.mark.parametrize("fault", ["one weight changed by a ten thousandth", "inputs swapped"])
def test_what_moves_answers_is_never_excused(sound, tmp_path, fault) -> None:
    """Measured, whatever its name."""
    assert measured(sound, tmp_path, fault) > 1


@pytest.mark.matrix
def test_swapped_inputs_are_excused_where_keras_answers_alike(sound, tmp_path) -> None:
    """A distance between two views, and an encoder with its decoder."""
    symmetric = fresh_model("siamese_tower_with_dropout")
    for model, names, is_symmetric in (
        (symmetric, ("left", "right"), True),
        (sound.model, ("source", "target"), False),
    ):
        assert (_fresh(model, tmp_path).moved_by_swapping(names) <= 1) == is_symmetric


def test_a_fault_of_form_is_missed_where_no_check_sees_it() -> None:
    """Right answers excuse nothing."""
    row = table.Tried("a call site given its own copy", "model", ())
    assert row.is_missed
    assert table.counted([row]) == "faults: 1 planted in 1 models, 0 caught, 0 excused, 1 missed"


def test_models_that_are_sound_raise_no_alarm() -> None:
    """Weights and inputs of two seeds."""
    judged = alarms.in_model("dense_on_two_views", 2)
    assert str(judged).startswith("dense_on_two_views: 2 of 2 seeds pass, 0.")
    assert alarms.counted([judged], 2) == "1 models x 2 seeds: 2 verdicts, 0 false alarms"


def test_a_file_that_keeps_old_weights_raises_one(monkeypatch) -> None:
    """Else no alarm would mean nothing."""
    monkeypatch.setattr("tests.faults.refilled.File.refill", lambda file: None)
    assert [seed for seed, _ in alarms.in_model("dense_on_two_views", 2).alarms] == [1]
