"""Models without a graph, called on inputs of a signature."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.errors import BadInput
from pipeline.graph.functional import as_functional
from pipeline.graph.read import read


class Difference(keras.Model):
    """A Dense on the difference of two arguments."""

    def __init__(self) -> None:
        super().__init__(name="difference")
        self.dense = layers.Dense(3, bias_initializer="normal")

    def call(self, left, right, training=None):
        """Two outputs by key."""
        return {"apart": self.dense(left - right), "left_alone": self.dense(left)}


class OfADict(keras.Model):
    """Takes a dict."""

    def __init__(self) -> None:
        super().__init__(name="of_a_dict")
        self.dense = layers.Dense(3)

    def call(self, inputs):
        """Its two entries joined."""
        return self.dense(inputs["a"]) - self.dense(inputs["b"])


class OfAList(OfADict):
    """Takes a list."""

    def call(self, inputs):
        """Its two entries joined."""
        first, second = inputs
        return self.dense(first) - self.dense(second)


def test_arguments_are_named_by_the_signature_in_its_order() -> None:
    """Whatever their order in the call."""
    model = Difference()
    spec = keras.InputSpec(shape=(None, 5), dtype="float32")
    functional = as_functional(model, {"right": spec, "left": (None, 5)})
    assert [tensor.name for tensor in functional.inputs] == ["right", "left"]
    assert [read(functional).label(site) for site in read(functional).sites] == ["difference"]
    left, right = np.ones((2, 5), "float32"), np.zeros((2, 5), "float32")
    np.testing.assert_array_equal(functional([right, left])["apart"], model(left, right)["apart"])


@pytest.mark.parametrize("kind", [OfADict, OfAList])
def test_a_dict_and_a_list_take_the_inputs_by_key_and_by_order(kind: type[OfADict]) -> None:
    """Found by trying."""
    functional = as_functional(kind(), {"a": (None, 5), "b": (5,)})
    assert [(tensor.name, tensor.shape) for tensor in functional.inputs] == [("a", (None, 5)), ("b", (None, 5))]
    assert functional.count_params() == 18


def test_a_static_batch_and_a_dtype_come_from_the_spec() -> None:
    """As `keras.InputSpec` has them."""
    model = keras.Sequential([layers.Embedding(7, 3), layers.GlobalAveragePooling1D()])
    functional = as_functional(model, {"ids": keras.InputSpec(shape=(4, 6), dtype="int32")})
    assert (functional.inputs[0].shape, functional.inputs[0].dtype) == ((4, 6), "int32")


def test_a_model_that_was_called_on_data_knows_its_inputs() -> None:
    """Their shapes with a free batch."""
    model = OfAList()
    model([np.ones((2, 5), "float32")] * 2)
    functional = as_functional(model)
    assert [(tensor.name, tensor.shape) for tensor in functional.inputs] == [
        ("inputs_0", (None, 5)),
        ("inputs_1", (None, 5)),
    ]


class Scaled(keras.Model):
    """A functional model by its class, with more in its call than in its graph."""

    def __init__(self) -> None:
        ids, weights = keras.Input((None,), dtype="int32", name="ids"), keras.Input((4,), name="weights")
        words = layers.GlobalAveragePooling1D()(layers.Embedding(7, 4)(ids))
        super().__init__({"ids": ids, "weights": weights}, words * weights, name="scaled")

    def call(self, inputs, training=None, mask=None):
        """Twice what the graph gives."""
        return 2 * super().call(inputs, training=training, mask=mask)


class ScaledInARow(keras.Sequential):
    """A sequential one."""

    def call(self, inputs, training=None, mask=None):
        """Twice what the layers give."""
        return 2 * super().call(inputs, training=training, mask=mask)


def test_a_functional_model_with_a_call_of_its_own_takes_what_it_was_built_on() -> None:
    """Names, dtypes and nesting are its inputs'; what it computes is its call's."""
    model = Scaled()
    functional = as_functional(model)
    given = [(tensor.name, tensor.shape, tensor.dtype) for tensor in functional.inputs]
    assert given == [("ids", (None, None), "int32"), ("weights", (None, 4), "float32")]
    feed = {"ids": np.array([[1, 2, 3]], "int32"), "weights": np.ones((1, 4), "float32")}
    np.testing.assert_array_equal(functional(feed), model(feed))
    in_a_row = as_functional(ScaledInARow([keras.Input((5,), dtype="int32", name="words"), layers.Embedding(7, 2)]))
    assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in in_a_row.inputs] == [("words", (None, 5), "int32")]


class OrNothing(layers.Layer):
    """Adds a second input where there is one."""

    def call(self, x, y=None):
        """The sum, or the first."""
        return x if y is None else x + y


def with_an_optional_input() -> keras.Model:
    """Inside a submodel."""
    i, j = keras.Input((4,)), keras.Input((4,), optional=True)
    tower = keras.Model([i, j], OrNothing()(i, j), name="tower")
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y", optional=True)
    return keras.Model([x, y], layers.Dense(2)(tower([x, y])))


def test_an_optional_input_that_the_signature_leaves_out_is_absent() -> None:
    """The same answers as with None, the same weights."""
    model = with_an_optional_input()
    without = as_functional(model, {"x": (None, 4)})
    assert [tensor.name for tensor in without.inputs] == ["x"]
    assert [id(weight) for weight in without.weights] == [id(weight) for weight in model.weights]
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(without.predict(x, verbose=0), model.predict([x, None], verbose=0))


@pytest.mark.parametrize(
    ("build", "signature", "message"),
    [
        (Difference, None, r"has no graph to read: build it with the functional API, .* or --input"),
        (lambda: keras.Sequential([layers.Dense(2)]), None, "give a Sequential model an Input"),
        (Difference, {"other": (None, 5)}, r"can't be called on other \(None, 5\) float32"),
        (Difference, {"left": "wide"}, "input_signature of 'left' is 'wide': give a keras.InputSpec or a shape"),
        (with_an_optional_input, {"y": (None, 4)}, "leaves out input 'x', which is not optional"),
        (with_an_optional_input, {"z": (None, 4)}, "has no input 'z': its inputs are x, y"),
        (with_an_optional_input, {"x": (None, 9)}, r"shape \(None, 9\), and it has \(None, 4\)"),
        (lambda: "a model", None, "a keras.Model is needed, and this is a str"),
    ],
)
def test_what_is_missing_is_said_in_one_line(build, signature, message: str) -> None:
    """With what to give."""
    with pytest.raises(BadInput, match=message) as refusal:
        as_functional(build(), signature)
    assert "\n" not in str(refusal.value)
