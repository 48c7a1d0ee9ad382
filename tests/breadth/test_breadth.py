"""All that Keras has to offer is either right in ONNX or refused in one line; a seeded part of it here."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers as keras_layers
from keras import ops

from pipeline.export.artifacts import Artifacts, write_artifacts
from tests.breadth import layers, operations
from tests.breadth.judging import Outcome, judged
from tests.breadth.registry import EXAMPLES, NOT_RUN, is_fault
from tests.breadth.table import chosen, counted, line_of
from tests.breadth.worker import SEED, outcome

SAMPLE = chosen([], 18, 5)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_part_of_keras_is_right_or_refused(name: str) -> None:
    """What `python -m tests.breadth.table` says of all."""
    found = outcome(name)
    assert not is_fault(name, found), found


def test_every_public_operation_has_an_example() -> None:
    """Also one that a new Keras brings: list it, or name its tensors x."""
    tried = {name.split("/")[0] for name in EXAMPLES}
    assert not [name for name in operations.functions() if f"ops.{name}" not in tried]
    assert set(operations.LISTED) <= set(operations.functions())


def test_every_public_layer_has_an_example_or_a_reason() -> None:
    """Both sides: no reason for what is tried, no name that Keras does not have."""
    assert layers.classes() == {*layers.LISTED, *layers.NO_LAYERS}
    assert not {*layers.LISTED} & {*layers.NO_LAYERS}


def test_an_export_that_answers_otherwise_is_seen(monkeypatch) -> None:
    """Keras is asked for another function than the one that was exported."""
    example = EXAMPLES["ops.sin"]
    model = example.model()
    monkeypatch.setattr("tests.breadth.judging.write_artifacts", _writes(EXAMPLES["ops.cos"].model()))
    found = judged(model, example.arrays(SEED))
    assert found.word == "wrong"
    assert "differs by" in found.note


def _writes(other: keras.Model) -> Callable[..., Artifacts]:
    return lambda model, *rest: write_artifacts(other, *rest)


def test_a_traceback_is_a_crash(monkeypatch) -> None:
    """And no refusal."""

    def fails(*arguments: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("tests.breadth.judging.write_artifacts", fails)
    example = EXAMPLES["ops.sin"]
    assert judged(example.model(), example.arrays(SEED)) == Outcome("crashed", "KeyError: 'x'")


def test_what_keras_does_not_run_counts_for_nothing() -> None:
    """A reshape that no batch fits; unless it is known not to run that is a fault."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras_layers.Lambda(lambda x: ops.reshape(x, (3, 5)), output_shape=(5,))(x))
    found = judged(model, [np.zeros((2, 4), "float32")])
    assert found.word == "not run"
    assert is_fault("ops.reshape", found)
    assert set(NOT_RUN) <= set(EXAMPLES)
    assert not is_fault("ops.isin", found)


def test_the_table_counts_words_by_kind() -> None:
    """Each line with its reason."""
    table = {"ops.a": Outcome("right"), "ops.c": Outcome("right"), "layers.B": Outcome("wrong", "output 'y' differs")}
    assert line_of("layers.B", table["layers.B"], 9) == "layers.B   wrong   output 'y' differs"
    assert counted(table).splitlines() == ["layers: 1 examples: 1 wrong", "ops: 2 examples: 2 right"]
