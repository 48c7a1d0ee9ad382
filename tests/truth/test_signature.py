"""Names, axes, dtypes and admitted ids, read off a model."""

from __future__ import annotations

import keras
from keras import layers

from pipeline.truth.signature import read_signature
from tests.zoo import ZOO


def names(specs: tuple) -> list[str]:
    """The names of some specs."""
    return [spec.name for spec in specs]


def test_outputs_in_a_dict_bear_its_keys() -> None:
    """In Keras' order, nested ones joined."""
    assert names(read_signature(ZOO["nested_dicts"]()).outputs) == ["gap", "match"]


def test_outputs_in_a_list_bear_their_layers_names() -> None:
    """A second and third of one name get a number."""
    assert names(read_signature(ZOO["gru_with_every_output"]()).outputs) == ["gru", "gru_1", "gru_2"]


def test_an_output_of_a_submodel_bears_the_submodels_name() -> None:
    """Not that of the submodel's last layer."""
    i = keras.Input((4,))
    sub = keras.Model(i, layers.Dense(2, name="last")(i), name="head")
    x = keras.Input((4,), name="x")
    assert names(read_signature(keras.Model(x, sub(x))).outputs) == ["head"]


def test_an_output_that_would_bear_an_inputs_name_gets_out() -> None:
    """And the signature says so."""
    signature = read_signature(ZOO["bare_cell_step_by_step"]())
    assert names(signature.outputs) == ["state_out", "y"]
    assert signature.renamed == {"state": "state_out"}


def test_nested_keys_are_joined() -> None:
    """And what is in a list below a key is counted."""
    x = keras.Input((3,), name="x")
    heads = {"b": layers.Dense(1)(x), "a": {"c": layers.Dense(1)(x)}, "n": [layers.Dense(1)(x), layers.Dense(1)(x)]}
    assert names(read_signature(keras.Model(x, heads)).outputs) == ["a/c", "b", "n/0", "n/1"]


def test_twelve_outputs_keep_their_order() -> None:
    """A list stays a list, past ten too."""
    i = keras.Input((3,))
    outputs = [layers.Dense(1, name=f"head_{number}")(i) for number in range(12)]
    assert names(read_signature(keras.Model(i, outputs)).outputs) == [f"head_{number}" for number in range(12)]


def test_free_axes_are_named_by_their_input_and_followed_to_the_outputs() -> None:
    """The batch is `batch` everywhere."""
    signature = read_signature(ZOO["causal_convolutions_of_any_length"]())
    assert [spec.shape for spec in signature.inputs] == [("batch", "left_time", 2), ("batch", "right_time", 2)]
    assert [spec.shape for spec in signature.outputs] == [("batch", "left_time", 4), ("batch", 4)]


class Halved(layers.Layer):
    """A layer whose shape inference says None for the batch, whatever it is given, as many do."""

    def call(self, x):
        """The first two features."""
        return x[..., :2]

    def compute_output_shape(self, shape):
        """Two features."""
        return (None, 2)


def test_a_first_axis_that_a_layer_calls_none_is_the_batch() -> None:
    """Keras' outputs begin with it; the frozen answers have to bear it out."""
    x = keras.Input((4,), name="x")
    assert read_signature(keras.Model(x, Halved()(x))).outputs[0].shape == ("batch", 2)


def test_a_static_batch_stays_static() -> None:
    """Two rows, not any number."""
    signature = read_signature(ZOO["static_batch"]())
    assert {spec.shape for spec in (*signature.inputs, *signature.outputs)} == {(2, 4), (2, 3)}


def test_an_axis_that_no_input_has_is_named_by_its_output() -> None:
    """Twice the time is not the time."""
    x = keras.Input((None, 3), name="x")
    signature = read_signature(keras.Model(x, layers.UpSampling1D(2, name="longer")(x)))
    assert signature.outputs[0].shape == ("batch", "longer_axis1", 3)


def test_an_embedding_bounds_the_ids_of_its_input() -> None:
    """The smallest bound, also behind a reshape; padding is noted."""
    ids = keras.Input((4,), dtype="int32", name="ids")
    first, second = layers.Embedding(9, 2, mask_zero=True)(ids), layers.Embedding(30, 2)(layers.Reshape((2, 2))(ids))
    signature = read_signature(keras.Model(ids, [first, second]))
    assert signature.inputs[0].ids_below == 9
    assert signature.inputs[0].is_masked
