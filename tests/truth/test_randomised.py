"""A fresh model's weights, and others in their place for a while."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.truth.randomised import constant_weights, randomised
from tests.zoo import fill


def fresh() -> keras.Model:
    """Weights that a converter may lose without changing an answer."""
    x = keras.Input((4,), name="x")
    y = layers.BatchNormalization(name="norm")(layers.Dense(3, name="dense")(x))
    return keras.Model(x, layers.PReLU(name="slope")(y))


def test_what_holds_one_number_throughout_is_constant() -> None:
    """A bias, a scale, statistics: not a kernel that was drawn."""
    assert constant_weights(fresh()) == (
        "dense/bias",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
        "slope/alpha",
    )


def test_a_filled_model_hides_nothing() -> None:
    """So it is judged once."""
    model = fresh()
    fill(model, 0)
    assert constant_weights(model) == ()


def test_every_weight_is_another_and_comes_back() -> None:
    """A variance stays positive."""
    model = fresh()
    before = [np.asarray(weight) for weight in model.weights]
    with randomised(model, 5):
        assert constant_weights(model) == ()
        inside = [np.asarray(weight) for weight in model.weights]
        assert all((one != other).all() for one, other in zip(before, inside, strict=True))
        variance = next(weight for weight in model.weights if "variance" in weight.path)
        assert np.asarray(variance).min() > 0.5
    assert all(np.array_equal(one, np.asarray(weight)) for one, weight in zip(before, model.weights, strict=True))


def test_the_own_weights_come_back_after_an_error() -> None:
    """Whatever went wrong meanwhile."""
    model = fresh()
    with pytest.raises(RuntimeError), randomised(model, 5):
        raise RuntimeError
    assert np.asarray(model.get_layer("dense").bias).max() == 0
