"""Which signature a model runs under, and what becomes of the samples that were given beside it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.oracle.asked import Asked
from pipeline.oracle.first_signature import that_runs


def of_static_batch(rows: int) -> keras.Model:
    """A model that takes so many rows at once."""
    x = keras.Input(batch_shape=(rows, 3), name="x")
    dense = layers.Dense(3)
    return keras.Model(x, dense(dense(x)))


def of_nothing_drawn() -> keras.Model:
    """A model of two free axes, one of which has to be 911 long."""
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    return keras.Model([a, b], ops.matmul(a, ops.transpose(b, (0, 2, 1))) + ops.ones((1, 7, 911)))


def test_a_tasks_data_that_do_not_fill_a_batch_are_told_where_drawn_inputs_run() -> None:
    """Nobody gave them to be judged by; whoever gives samples is told that they can't be."""
    rows = {"x": np.ones((100, 3), np.float32)}
    with Asked(of_static_batch(128)) as asked:
        found = that_runs(asked, rows, 1, of_task=True)
        assert (found.samples, found.refused) == (None, None)
        assert found.unfit is not None
        assert "samples have 100 rows, the model takes 128 of 'x' at once" in found.unfit
        with pytest.raises(BadInput, match="samples have 100 rows, the model takes 128 of 'x' at once"):
            that_runs(asked, rows, 1)


def test_a_tasks_data_that_are_no_help_are_named_where_nothing_drawn_runs() -> None:
    """Beside what the model said."""
    with (
        Asked(of_nothing_drawn()) as asked,
        pytest.raises(BadInput, match=r"inputs drawn from.*its task's data is no help: they hold no 'b'; give samples"),
    ):
        that_runs(asked, {"a": np.ones((2, 7, 2), np.float32)}, 1, of_task=True)
