"""What the traced graph adds to a signature."""

from __future__ import annotations

import keras
import pytest
from keras import layers, ops

from pipeline import cases
from pipeline.oracle.freeze import freeze
from pipeline.records import Signature
from pipeline.truth.signature import read_signature
from tests.truth.position_layers import WIDTH, Positions, autoencoder, encoder, u_net, unpadded_u_net
from tests.truth.traced_graphs import completed


def rules(signature: Signature) -> dict[str, str]:
    """What is said of each axis."""
    return {axis: rule.told() for axis, rule in signature.axes.items()}


@pytest.mark.parametrize("how", ["slice", "index", "take"])
def test_a_table_of_positions_bounds_its_axis(how) -> None:
    """In whatever words the layer reads it, and the table is named."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Model(ids, Positions(how, 24, name="positions")(layers.Embedding(9, WIDTH)(ids)))
    signature = completed(model)
    assert rules(signature) == {"ids_time": "at most 24"}
    assert signature.axes["ids_time"].reason == "the table 'positions/table' has 24 rows"
    assert signature.outputs[0].shape == ("batch", "ids_time", WIDTH)


def test_a_table_that_is_added_whole_leaves_one_size() -> None:
    """Of 37 rows, which no list of usual sizes has."""
    x = keras.Input((None, WIDTH), name="x")
    assert rules(completed(keras.Model(x, Positions("whole", 37)(x)))) == {"x_time": "exactly 37"}


def test_ids_masks_and_segments_share_one_axis() -> None:
    """Bounded by the table; each input has its own bound of values, the mask is 0 and 1."""
    signature = completed(encoder())
    assert {spec.shape for spec in signature.inputs} == {("batch", "time")}
    assert [spec.ids_below for spec in signature.inputs] == [50, 2, 2]
    assert rules(signature) == {"time": "at most 32"}
    assert signature.outputs[0].shape == ("batch", "time", WIDTH)


def test_a_u_net_of_free_size_takes_multiples() -> None:
    """Height and width need not agree, and name the outputs' axes."""
    signature = completed(u_net())
    assert signature.inputs[0].shape == ("batch", "image_height", "image_width", 3)
    assert signature.outputs[0].shape == ("batch", "image_height", "image_width", 8)
    assert rules(signature) == {"image_height": "a multiple of 4", "image_width": "a multiple of 4"}


def test_a_u_net_of_unpadded_convolutions_takes_more_than_multiples() -> None:
    """Each convolution takes two pixels off, and each pool wants an even number of what is left."""
    signature = completed(unpadded_u_net(3))
    expected = "4 more than a multiple of 8, at least 92"
    assert rules(signature) == {"image_height": expected, "image_width": expected}
    feed = cases.generate(signature, 2, 0, cases.LONGEST, 2)
    assert feed["image"].shape == (2, 188, 188, 3)
    drawn = {cases.generate(signature, 1, seed, cases.RANDOM)["image"].shape[1] for seed in range(9)}
    assert len(drawn) > 1
    assert all(signature.axes["image_height"].admits(size) for size in drawn)


@pytest.mark.parametrize("stride", [2, 3, 5])
def test_a_strided_autoencoder_takes_multiples_of_its_stride(stride) -> None:
    """Elsewhere its answer is longer than its input."""
    assert rules(completed(autoencoder(stride))) == {"sound_time": f"a multiple of {stride}"}


def test_positions_that_are_an_input_are_bounded_and_agree_with_the_ids() -> None:
    """Among six steps."""
    ids, positions = (keras.Input((None,), dtype="int32", name=name) for name in ("ids", "positions"))
    x = layers.Embedding(50, WIDTH)(ids) + layers.Embedding(6, WIDTH)(positions)
    signature = completed(keras.Model([ids, positions], x))
    assert [(spec.shape, spec.ids_below) for spec in signature.inputs] == [
        (("batch", "time"), 50),
        (("batch", "time"), 6),
    ]


def test_two_groups_of_one_kind_are_named_by_their_first_axes() -> None:
    """Two pairs of sequences are not four that agree."""
    a, b, c, d = (keras.Input((None, 2), name=name) for name in "abcd")
    signature = completed(keras.Model([a, b, c, d], [a + c, b * d]))
    assert [spec.shape[1] for spec in signature.inputs] == ["a_time", "b_time", "a_time", "b_time"]
    assert [spec.shape[1] for spec in signature.outputs] == ["a_time", "b_time"]


def test_nothing_is_said_of_a_model_that_takes_everything() -> None:
    """The signature comes back as it was."""
    x, y = keras.Input((None, 2), name="x"), keras.Input((3,), name="y")
    model = keras.Model([x, y], [layers.Conv1D(2, 3, padding="same")(x), layers.Dense(2)(y)])
    assert completed(model) == read_signature(model)


def test_a_function_inside_a_layer_is_looked_into() -> None:
    """Shape inference stops at calls: they are inlined."""
    import tensorflow as tf

    class Compiled(layers.Layer):
        """Adds two tensors in a function of its own."""

        def build(self, shape):
            self.add_in_graph = tf.function(lambda a, b: a + b)

        def call(self, a, b):
            return self.add_in_graph(a, b)

        def compute_output_spec(self, a, b):
            return keras.KerasTensor(a.shape, a.dtype)

    a, b = (keras.Input((None, 2), name=name) for name in "ab")
    signature = completed(keras.Model([a, b], Compiled()(a, b)))
    assert [spec.shape[1] for spec in signature.inputs] == ["time", "time"]


def test_code_that_no_output_needs_does_not_count() -> None:
    """Two tensors that only agree in a sum that nobody reads."""

    class Wasteful(layers.Layer):
        """Computes a sum for nothing."""

        def call(self, a, b):
            _ = a + b
            return ops.sum(a, axis=1) * ops.sum(b, axis=1)

        def compute_output_shape(self, a_shape, b_shape):
            return (a_shape[0], a_shape[2])

    a, b = (keras.Input((None, 2), name=name) for name in "ab")
    signature = completed(keras.Model([a, b], Wasteful()(a, b)))
    assert [spec.shape[1] for spec in signature.inputs] == ["a_time", "b_time"]


def test_a_table_of_ids_and_numbers_in_one_vector_is_frozen_as_both(tmp_path) -> None:
    """Ids stay ids, and numbers are scaled and negative."""
    row = keras.Input((6,), name="row")
    first = layers.Embedding(5, 3)(row[:, 0])
    model = keras.Model(row, layers.Dense(2)(layers.Concatenate()([first, layers.Dense(4)(row[:, 1:])])))
    truth = freeze(model, tmp_path, effort="quick")
    (spec,) = truth.signature.inputs
    assert (spec.ids_below, spec.ids_at, spec.ids_between) == (5, (0,), False)
    assert {"scaled 1e+06", "largest ids"} <= {case.kind for case in truth.cases}


@pytest.mark.parametrize("halvings", [2, 4, 5, 6])
def test_no_axis_that_strides_have_shortened_is_taken_for_the_batch(halvings) -> None:
    """Of 37 pixels a stride of 16 leaves 3."""
    x = image = keras.Input((None, None, 3), name="image")
    for _ in range(halvings):
        x = layers.MaxPooling2D(padding="same")(x)
    (output,) = completed(keras.Model(image, x)).outputs
    assert output.shape[0] == "batch"
    assert set(output.shape[1:3]) & {"batch", "image_height", "image_width"} == set()


def test_where_keras_infers_another_shape_the_graph_decides() -> None:
    """Keras has the scores of an attention square; two texts need not be as long."""
    a, b = keras.Input((None, 8), name="a"), keras.Input((None, 8), name="b")
    attention = layers.MultiHeadAttention(2, 4)
    there, scores = attention(a, b, return_attention_scores=True)
    signature = completed(keras.Model([a, b], {"answer": attention(there, b), "scores": scores}))
    shapes = {spec.name: spec.shape for spec in signature.outputs}
    assert shapes == {"answer": ("batch", "a_time", 8), "scores": ("batch", 2, "a_time", "b_time")}


def test_a_number_alone_is_drawn_for_every_kind() -> None:
    """An index of no axes, as a step of decoding has."""
    place = keras.Input(batch_shape=(), dtype="int32", name="place")
    x = keras.Input((5, 2), name="x")
    signature = completed(keras.Model([x, place], ops.take(x, place, axis=1)))
    for kind in cases.kinds(signature):
        assert cases.generate(signature, 2, 0, kind)["place"].shape == ()
