import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from pipeline.models import two_branch


def test_the_shapes_are_those_of_the_tutorial() -> None:
    """Two views, 10 and 15 wide, one probability."""
    model = two_branch.build()
    assert [tuple(symbol.shape) for symbol in model.inputs] == [(None, 10), (None, 15)]
    assert [tuple(symbol.shape) for symbol in model.outputs] == [(None, 1)]


def test_the_shared_dense_is_one_layer_called_at_both_views() -> None:
    """16 x 32 + 32 parameters stored once, though two views are read."""
    shared = two_branch.build().get_layer("shared_dense")
    assert (shared.count_params(), len(shared._inbound_nodes)) == (544, 2)


def test_the_first_example_of_the_tutorial_does_not_build() -> None:
    """One Dense called on widths 10 and 15: its kernel is fixed by the first call, so each view has a projection."""
    shared_dense = keras.layers.Dense(32, activation="relu")
    shared_dense(keras.Input((10,)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 10, but received"):
        shared_dense(keras.Input((15,)))


def test_the_views_have_no_column_in_common() -> None:
    """Ten means, and fifteen of the twenty others."""
    assert (len(set(two_branch.MEANS)), len(set(two_branch.OTHERS))) == (10, 15)
    assert not set(two_branch.MEANS) & set(two_branch.OTHERS)


def test_no_held_out_tumour_is_trained_on() -> None:
    """The two parts make up the table, each row once."""
    training, held_out = two_branch.data()
    rows = np.concatenate([training.inputs["means"], held_out.inputs["means"]])
    assert len(rows) == len(load_breast_cancer().target) == len(np.unique(rows, axis=0))


def test_the_statistics_come_from_the_training_part_alone() -> None:
    """Standardised there exactly, and elsewhere not: nothing leaks from the held-out part."""
    training, held_out = two_branch.data()
    np.testing.assert_allclose(training.inputs["others"].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(training.inputs["others"].std(axis=0), 1, atol=1e-5)
    assert np.abs(held_out.inputs["others"].mean(axis=0)).max() > 0.01


def test_the_metric_is_the_share_of_right_answers() -> None:
    """All right is 1; all wrong is 0."""
    _, held_out = two_branch.data()
    right = held_out.targets["benign"]
    assert two_branch.accuracy(lambda inputs: {"benign": right}, held_out) == 1.0
    assert two_branch.accuracy(lambda inputs: {"benign": 1 - right}, held_out) == 0.0
