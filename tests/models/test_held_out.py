"""A metric of an artifact is asked in batches and may differ by what rounding does to such a figure, not by more."""

from __future__ import annotations

import math
import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import CheckFailed
from pipeline.models.held_out import allowed_difference, in_batches, is_proportion, judged_metric, remembered, spread
from pipeline.models.task import Arrays, Task
from pipeline.records import TaskMetric
from pipeline.training.named import predictor

ROWS = 500


def held_out() -> Arrays:
    """Points and their sums, with noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3))
    return Arrays({"x": x}, {"y": x.sum(axis=1) + rng.normal(size=ROWS)})


def sums(inputs):
    """The best that can be said."""
    return {"y": inputs["x"].sum(axis=1)}


def accuracy(predict, samples: Arrays) -> float:
    """How often the sign is right."""
    return float(np.mean((predict(samples.inputs)["y"] > 0) == (samples.targets["y"] > 0)))


def negative_rmse(predict, samples: Arrays) -> float:
    """Larger is better."""
    return -float(np.sqrt(np.mean((predict(samples.inputs)["y"] - samples.targets["y"]) ** 2)))


def task(metric, allowance: float | None = None) -> Task:
    """With those samples."""
    return Task(build=lambda: None, data=lambda: (held_out(), held_out()), metric=metric, allowance=allowance)


def figure(metric) -> TaskMetric:
    """Keras' own."""
    return TaskMetric(name=metric.__name__, value=metric(sums, held_out()), threshold=None)


def off_by(much: float):
    """An artifact that adds too much."""
    return lambda inputs: {"y": inputs["x"].sum(axis=1) + much}


def test_a_proportion_may_differ_by_two_samples_or_a_thousandth() -> None:
    """Of 500: by a two hundred and fiftieth."""
    value = figure(accuracy).value
    assert is_proportion(value, ROWS)
    assert allowed_difference(task(accuracy), value, sums, held_out()) == pytest.approx(2 / ROWS)


def test_any_other_figure_may_differ_by_a_part_of_its_spread() -> None:
    """Two samples of 500 would be a tenth of an error of 1; a tenth of what another draw does is a third of that."""
    value = figure(negative_rmse).value
    assert not is_proportion(value, ROWS)
    of_draws = spread(negative_rmse, sums, held_out())
    assert of_draws == pytest.approx(-value / math.sqrt(2 * ROWS), rel=0.4)
    assert allowed_difference(task(negative_rmse), value, sums, held_out()) == pytest.approx(0.1 * of_draws)
    judged = judged_metric(figure(negative_rmse), task(negative_rmse), off_by(1e-4), model="sums")
    assert judged.onnx == pytest.approx(value, abs=1e-4)
    with pytest.raises(CheckFailed, match="apart"):
        judged_metric(figure(negative_rmse), task(negative_rmse), off_by(0.3), model="sums")


def test_a_task_may_state_what_is_allowed() -> None:
    """More, or less."""
    assert judged_metric(figure(negative_rmse), task(negative_rmse, 1.0), off_by(0.3), model="sums").onnx is not None
    with pytest.raises(CheckFailed):
        judged_metric(figure(negative_rmse), task(negative_rmse, 1e-9), off_by(1e-2), model="sums")


@pytest.mark.parametrize(("value", "predict"), [(math.nan, sums), (1.0, off_by(math.nan))])
def test_a_figure_that_is_no_number_fails(value: float, predict) -> None:
    """Whose ever it is; a comparison with it says nothing."""
    metric = TaskMetric(name="negative_rmse", value=value, threshold=None)
    with pytest.raises(CheckFailed, match="not a number"):
        judged_metric(metric, task(negative_rmse), predict, model="sums")


def test_a_figure_that_is_no_number_is_written_and_read() -> None:
    """JSON has none."""
    metric = TaskMetric(name="loss", value=math.nan, threshold=None, onnx=math.inf)
    again = TaskMetric.model_validate_json(metric.model_dump_json())
    assert math.isnan(again.value)
    assert again.onnx == math.inf


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_a_static_batch_is_filled_up_and_cut_again(count: int) -> None:
    """Whatever comes, eight rows go in, and each answer belongs to its row."""
    sizes = []

    def eight(inputs):
        sizes.append(len(inputs["x"]))
        return sums(inputs)

    x = np.random.default_rng(1).normal(size=(count, 3))
    assert np.array_equal(in_batches(eight, 8, is_static=True)({"x": x})["y"], x.sum(axis=1))
    assert set(sizes) == {8}


def test_samples_go_through_in_batches() -> None:
    """No call has more rows than that."""
    sizes = []

    def few(inputs):
        sizes.append(len(inputs["x"]))
        return sums(inputs)

    answers = in_batches(few, 64)(held_out().inputs)
    assert np.array_equal(answers["y"], sums(held_out().inputs)["y"])
    assert sizes == [64] * 7 + [52]


def test_a_row_is_predicted_once() -> None:
    """In the order asked, repeated rows and all."""
    asked = []

    def counting(inputs):
        asked.append(len(inputs["x"]))
        return sums(inputs)

    predict = remembered(counting)
    x = np.random.default_rng(2).normal(size=(6, 3))
    rows = np.array([3, 1, 3, 5, 1])
    assert np.array_equal(predict({"x": x[rows]})["y"], x[rows].sum(axis=1))
    assert np.array_equal(predict({"x": x})["y"], x.sum(axis=1))
    assert np.array_equal(predict({"x": x[::-1]})["y"], x[::-1].sum(axis=1))
    assert asked == [3, 3]


def test_answers_that_nobody_asks_for_again_are_held_once() -> None:
    """Of a proportion; while batches are joined, what is joined goes."""
    rows = Arrays({"x": np.arange(64.0).reshape(64, 1)})
    names = [f"y{number}" for number in range(8)]
    size = 64 * 4096 * 8 * len(names)

    def wide(inputs):
        return {name: np.zeros((len(inputs["x"]), 4096)) for name in names}

    def half(predict, held_out: Arrays) -> float:
        predict(held_out.inputs)
        return 0.5

    wanted = Task(build=lambda: None, data=lambda: (rows, rows), metric=half)
    tracemalloc.start()
    judged_metric(TaskMetric(name="half", value=0.5, threshold=None), wanted, in_batches(wide, 8), model="wide")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.4 * size


def test_a_keras_model_of_static_batch_predicts_any_number_of_rows() -> None:
    """Keras itself takes its own number alone."""
    x = keras.Input(batch_shape=(4, 3), name="x")
    model = keras.Model(x, layers.Dense(2, name="y")(x))
    rows = np.random.default_rng(3).normal(size=(10, 3)).astype(np.float32)
    answers = predictor(model)({"x": rows})["y"]
    np.testing.assert_allclose(answers, rows @ np.asarray(model.layers[1].kernel), rtol=1e-5, atol=1e-6)
