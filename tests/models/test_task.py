import dataclasses

import numpy as np
import pytest

from pipeline.models.task import Arrays, Predict, Task


def share_of_ones(predict: Predict, held_out: Arrays) -> float:
    """The share of ones among the answers."""
    return float(np.mean(predict(held_out.inputs)["y"]))


def test_a_task_needs_nothing_but_a_builder() -> None:
    """A user's model without data is a task too."""
    task = Task(build=lambda: None)
    assert (task.data, task.fit, task.metric, task.threshold, task.metric_name) == (None, None, None, None, None)


def test_a_metric_is_called_as_its_function_is() -> None:
    """The name in records and tables."""
    assert Task(build=lambda: None, metric=share_of_ones).metric_name == "share_of_ones"


def test_a_task_cannot_be_changed() -> None:
    """Frozen: two stages that hold one task hold the same."""
    task = Task(build=lambda: None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.threshold = 1.0


def test_samples_are_taken_from_inputs_and_targets_alike() -> None:
    """A permutation must not part a sample from its answer."""
    arrays = Arrays({"x": np.arange(6).reshape(3, 2)}, {"y": np.arange(3)})
    taken = arrays.take(np.array([2, 0]))
    assert (len(arrays), len(taken)) == (3, 2)
    assert taken.inputs["x"].tolist() == [[4, 5], [0, 1]]
    assert taken.targets["y"].tolist() == [2, 0]
