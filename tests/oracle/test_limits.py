"""Models that would run for ever, or take all memory, on inputs that were drawn."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.oracle import asked as asking_model
from pipeline.oracle import asking
from pipeline.oracle.freeze import freeze

pytestmark = pytest.mark.slow


@keras.saving.register_keras_serializable("tests")
class Halved(layers.Layer):
    """Halves its rows until their norm is below one: an infinity never is."""

    def call(self, x):
        """Rows of norms below one."""
        return ops.while_loop(lambda y: ops.any(ops.sum(y * y) > 1.0), lambda y: [y / 2.0], [x])[0]


@keras.saving.register_keras_serializable("tests")
class Outer(layers.Layer):
    """A sum over more than the machine may be filled with: (batch, n) by itself, many times over."""

    def call(self, x):
        """The sum of each row, the long way round."""
        spread = ops.reshape(x, (-1, 1, x.shape[1])) * ops.ones((1, 300_000, 1))
        return ops.mean(ops.sqrt(ops.abs(spread) + 1.0), axis=1)


def test_a_loop_that_never_ends_on_an_infinity_is_told(tmp_path, monkeypatch) -> None:
    """It only was to be reported; all the rest is judged, by a process that was started again."""
    monkeypatch.setattr(asking_model, "_LEAST_REPORTED_S", 2.0)
    monkeypatch.setattr(asking_model, "_TIMES", 1.0)
    halved, x, y = Halved(name="halved"), keras.Input((4,), name="x"), keras.Input((4,), name="y")
    truth = freeze(keras.Model([x, y], layers.Dense(2)(halved(x) - halved(y))), tmp_path, effort="quick")
    told = [line for line in truth.not_judged if "infinite" in line]
    assert told == ["inputs infinite: Keras gave no answer: no answer within 2 s"] or "no answer within 2" in told[0]
    assert {"random", "scaled 1e+06", "denormal"} <= {case.kind for case in truth.cases}


def test_a_model_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch) -> None:
    """In one line, by a limit that is below what the machine has."""
    monkeypatch.setattr(asking_model, "free_memory", lambda: 3 * 2**29)
    monkeypatch.setattr(asking, "free_memory", lambda: 3 * 2**29)
    x = keras.Input((3000,), name="x")
    with pytest.raises(BadInput, match=r"does not run on inputs drawn.*it took .* GiB of memory, of 1.5 GiB allowed"):
        freeze(keras.Model(x, Outer()(x)), tmp_path, effort="quick")


@pytest.mark.matrix
def test_noise_keeps_its_scale_when_the_process_is_started_again(monkeypatch) -> None:
    """A limit that one case reached, or memory that others needed, must not make later budgets smaller."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(3)(layers.Dense(5, activation="tanh")(x)))
    ordinary = {"x": np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)}
    small = {"x": 1e-3 * ordinary["x"]}
    with asking_model.Asked(model) as asked:
        asked.answers(ordinary, asking_model.limits_of(1.0), draws=2, at_scale=True)
        before = asked.answers(small, asking_model.limits_of(1.0), draws=2)
        asked.rest()
        is_worth_a_start = asked._oracle._conversation is None
        monkeypatch.setattr(asking_model, "_WORTH_A_START", 0)
        asked.rest()
        assert (is_worth_a_start, asked._oracle._conversation) == (False, None)
        after = asked.answers(small, asking_model.limits_of(1.0), draws=2)
    (output,) = before.float32
    for one, other in zip(before.noisy, after.noisy, strict=True):
        np.testing.assert_array_equal(one[output], other[output])


class Endless(layers.Layer):
    """Waits for what never comes."""

    def call(self, x):
        """Never returns."""
        return ops.while_loop(lambda y: ops.any(ops.sum(y * y) > -1.0), lambda y: [y / 2.0], [x])[0]


@pytest.mark.matrix
def test_a_model_that_never_answers_is_refused_before_every_signature_was_tried(tmp_path, monkeypatch) -> None:
    """Each try takes as long as its limit: thirty would take an hour."""
    monkeypatch.setattr(asking_model, "_LEAST_S", 1.0)
    started = []
    conversation = asking.Conversation
    monkeypatch.setattr(asking, "Conversation", lambda *given: started.append(given) or conversation(*given))
    x = keras.Input((None, None, 4), name="x")
    with pytest.raises(BadInput, match=r"does not run on inputs drawn.*no answer within 1 s"):
        freeze(keras.Model(x, Endless()(x)), tmp_path, effort="quick")
    assert len(started) <= 2
