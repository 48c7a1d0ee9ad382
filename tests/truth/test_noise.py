"""Noise of a unit at every call site shows what an output is made of."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline import cases
from pipeline.graph.call import named_call
from pipeline.oracle.draws import Draws
from pipeline.truth.float64 import float64_clone, float64_model
from pipeline.truth.noise import Noise
from pipeline.truth.signature import read_signature
from pipeline.truth.units import SINGLE as UNIT
from tests.zoo import ZOO, fill


def drawn(call, specs: dict[str, tf.TensorSpec], ordinary: dict[str, np.ndarray], **how) -> Draws:
    """The noisy model, run in this process, at its ordinary scale."""
    noise = Noise(call, specs, **how)

    def run(feed, sizes, share, draw):
        answers, scales = noise.function(
            *map(tf.constant, feed.values()), tf.constant(sizes), tf.constant(share, tf.float64), tf.constant(draw)
        )
        return {name: answer.numpy() for name, answer in answers.items()}, scales.numpy()

    draws = Draws(run, noise.units)
    draws.measure(ordinary)
    return draws


def moved(model: keras.Model, ordinary: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first output without and with noise."""
    signature = read_signature(model)
    call = named_call(float64_clone(model), signature)
    name = signature.inputs[0].name
    noise = drawn(call, {name: tf.TensorSpec([None, *value.shape[1:]], "float64")}, {name: ordinary})
    output = signature.outputs[0].name
    exact, draws = noise.exact({name: value})[output], noise.answers({name: value})
    largest = max(range(len(draws)), key=lambda draw: np.abs(draws[draw][output] - exact).max())
    return exact, draws[largest][output]


def test_an_ordinary_output_moves_by_a_few_units() -> None:
    """Of its scale, and not by none."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(3, activation="tanh")(layers.Dense(5)(x)))
    fill(model, 3)
    value = np.random.default_rng(0).normal(size=(8, 4))
    plain, noisy = moved(model, value, value)
    assert 0.1 * UNIT < np.abs(noisy - plain).max() < 20 * UNIT


def test_an_output_made_of_little_moves_by_much() -> None:
    """A layer that is all but closed, normalised: units at its ordinary scale are all there is."""
    x = keras.Input((4,), name="x")
    closed = layers.Dense(3, activation="sigmoid", bias_initializer="zeros")
    model = keras.Model(x, layers.UnitNormalization()(closed(x)))
    fill(model, 3)
    value = -1e3 * np.abs(np.random.default_rng(0).normal(size=(8, 4)))
    closed.kernel.assign(ops.abs(closed.kernel) + 0.1)
    plain, noisy = moved(model, np.abs(value) / 1e3, value)
    assert np.abs(noisy - plain).max() > 0.1


@pytest.mark.matrix
def test_a_sum_that_cancels_moves_in_some_draw() -> None:
    """Where all signs are alike the noise on its terms cancels as they do."""
    x = keras.Input((3,), name="x")
    signature = read_signature(model := keras.Model(x, layers.Dense(1, kernel_initializer="ones")(x)))
    rng = np.random.default_rng(0)
    for value in rng.normal(size=(20, 1, 3)) * 1e3:
        value[:, 2] = 0.5 - value[:, 0] - value[:, 1]
        call = named_call(float64_clone(model), signature)
        noise = drawn(call, {"x": tf.TensorSpec([None, 3], "float64")}, {"x": value / 1e3})
        output = signature.outputs[0].name
        exact = noise.exact({"x": value})[output]
        moves = [np.abs(answer[output] - exact).max() for answer in noise.answers({"x": value})]
        assert max(moves) > UNIT * np.sort(np.abs(value).ravel())[1] / 4


def test_a_closed_gate_before_a_large_state_moves_by_a_unit_of_an_open_one() -> None:
    """Inside a recurrent layer, where onnxruntime's sigmoid errs by so much."""
    x, state = keras.Input((1, 1), name="x"), keras.Input((1,), name="state")
    lstm = layers.LSTM(1, use_bias=False, kernel_initializer="ones", recurrent_initializer="zeros")
    model = keras.Model([x, state], lstm(x, initial_state=[0.0 * state, state]))
    signature = read_signature(model)
    specs = {"x": tf.TensorSpec([None, 1, 1], "float64"), "state": tf.TensorSpec([None, 1], "float64")}
    feed = {"x": np.full((8, 1, 1), -6.0), "state": np.full((8, 1), 1e3)}
    noise = drawn(named_call(float64_clone(model), signature), specs, feed)
    output = signature.outputs[0].name
    exact = noise.exact(feed)[output]
    opened = 1 / (1 + np.exp(6.0))
    moves = [np.abs(answer[output] - exact).max() for answer in noise.answers(feed)]
    assert max(moves) > 10 * UNIT * opened


def test_exact_zeros_stay_and_with_them_what_is_decided_by_them() -> None:
    """Rows that a product has closed are padding, before and after."""
    x = keras.Input((4, 3), name="x")
    model = keras.Model(x, layers.LSTM(3)(layers.Masking()(x * ops.cast(x > 0, "float32"))))
    fill(model, 3)
    value = np.random.default_rng(0).normal(size=(32, 4, 3))
    value[:, 2:] = -np.abs(value[:, 2:])
    plain, noisy = moved(model, value, value)
    assert 0 < np.abs(noisy - plain).max() < 20 * UNIT


@pytest.mark.parametrize("how", ["chosen", "added", "infinite"])
def test_the_floor_of_a_mask_makes_no_noise_of_what_counts(how) -> None:
    """Scores of -1e9 where nothing counts: a unit of those is 60, and no implementation is off by that elsewhere."""
    x = keras.Input((6,), name="x")
    scores = layers.Dense(6)(x)
    floor = {"chosen": -1e9, "added": -1e9, "infinite": -np.inf}[how]
    does_count = x > -0.5
    if how == "added":
        scores = scores + (1.0 - ops.cast(does_count, "float32")) * floor
    else:
        scores = ops.where(does_count, scores, floor)
    model = keras.Model(x, ops.softmax(scores) * layers.Dense(6)(x))
    fill(model, 3)
    value = np.random.default_rng(0).normal(size=(32, 6))
    plain, noisy = moved(model, value, value)
    assert 0.1 * UNIT < np.abs(noisy - plain).max() < 40 * UNIT


def test_a_saturated_softmax_is_off_by_a_unit_of_one() -> None:
    """Its ones are no floor: what is nearly 0 beside them is worked out no better."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.UnitNormalization()(ops.softmax(layers.Dense(4)(x))[:, :2]))
    fill(model, 3)
    value = 40 * np.random.default_rng(0).normal(size=(64, 4))
    plain, noisy = moved(model, value, value)
    assert np.abs(noisy - plain).max() > 0.1


def test_values_that_masking_leaves_out_stay_and_so_do_integers() -> None:
    """Decided by equality: were they off, every step would count, and anything be allowed."""
    x, counts = keras.Input((4, 3), name="x"), keras.Input((4, 3), dtype="int32", name="counts")
    model = keras.Model(x, layers.LSTM(3)(layers.Masking(mask_value=-1.5)(x)))
    fill(model, 3)
    value = np.random.default_rng(0).normal(size=(32, 4, 3))
    value[:, 2:] = -1.5
    wide = float64_model(model)
    assert wide.masked_values == {-1.5}
    call = named_call(wide.model, read_signature(model))
    noise = drawn(call, {"x": tf.TensorSpec([None, 4, 3], "float64")}, {"x": value}, kept=wide.masked_values)
    (plain,), draws = noise.exact({"x": value}).values(), noise.answers({"x": value})
    moves = max(float(np.abs(next(iter(draw.values())) - plain).max()) for draw in draws)
    assert 0 < moves < 20 * UNIT
    model = keras.Model(counts, ops.cast(counts, "float32"))
    wide = float64_model(model)
    noise = drawn(
        named_call(wide.model, read_signature(model)),
        {"counts": tf.TensorSpec([None, 4, 3], "int32")},
        {"counts": np.ones((2, 4, 3), np.int32)},
        units=wide.units,
    )
    feed = {"counts": np.arange(24, dtype=np.int32).reshape(2, 4, 3)}
    assert all(np.array_equal(*each) for each in zip(noise.answers(feed)[0].values(), feed.values(), strict=True))


def test_large_inputs_move_what_is_worked_out_inside_a_layer() -> None:
    """Of gates that are all but saturated, in sums a thousand times as large as the layer's results."""
    x = keras.Input((5, 3), name="x")
    model = keras.Model(x, layers.LSTM(4, return_sequences=True)(x))
    fill(model, 3)
    value = np.random.default_rng(0).normal(size=(64, 5, 3))
    plain, noisy = moved(model, value, 1e3 * value)
    assert np.abs(noisy - plain).max() > 10 * UNIT


@pytest.mark.parametrize("name", ["masked_encoder_decoder", "network_over_time", "gru_with_every_output"])
def test_masks_loops_and_several_results_come_through(name: str) -> None:
    """The answer is still the model's."""
    model = ZOO[name]()
    signature = read_signature(model)
    feed = {
        key: value.astype("float64") if value.dtype.kind == "f" else value
        for key, value in cases.generate(signature, 5, 1).items()
    }
    call = named_call(float64_clone(model), signature)
    noise = drawn(call, {key: tf.TensorSpec(value.shape, value.dtype) for key, value in feed.items()}, feed)
    plain, noisy = call(feed), noise.answers(feed)[0]
    for key, answer in plain.items():
        assert np.array_equal(noise.exact(feed)[key], np.asarray(answer))
        assert np.abs(noisy[key] - np.asarray(answer)).max() < 1e-5 * max(1.0, float(np.abs(answer).max()))
    assert any(np.any(noisy[key] != np.asarray(answer)) for key, answer in plain.items())


def test_what_is_infinite_inside_stays_so() -> None:
    """A logarithm of nothing, taken back: the exact answer is the model's, and noise does not make it no number."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, ops.exp(ops.log(layers.ReLU()(x))))
    value = np.array([[-1.0, 2.0, -3.0, 0.5]])
    plain, noisy = moved(model, value, value)
    assert np.array_equal(plain == 0, [[True, False, True, False]])
    np.testing.assert_allclose(plain, np.maximum(value, 0), rtol=1e-12)
    np.testing.assert_allclose(noisy, plain, rtol=1e-5)
