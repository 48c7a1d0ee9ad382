import keras
import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.training.named import packed_inputs, predictor


def test_predicting_goes_by_name_and_not_by_order() -> None:
    """The arrays of a dict have no order that counts."""
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model([a, b], keras.layers.Subtract(name="difference")([a, b]))
    answer = predictor(model)({"b": np.array([[1.0]]), "a": np.array([[5.0]])})
    assert answer["difference"].tolist() == [[4.0]]


def test_a_sequential_model_has_names_too() -> None:
    """Its graph's own."""
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    assert list(predictor(model)({"x": np.zeros((3, 2))})) == ["y"]


def test_a_missing_input_is_refused_with_the_names() -> None:
    """Both lists stand in the line."""
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    with pytest.raises(BadInput, match=r"inputs \['z'\], its model \['x'\]"):
        packed_inputs(model, {"z": np.zeros((3, 2))})
