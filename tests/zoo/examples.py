"""Models with shared layers of every kind that a graph can hold: nested, masked, recurrent, random, frozen in parts."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model


@zoo_model
def dense_on_two_views() -> keras.Model:
    """The tutorial's first model as it has to be: each view projected to one width."""
    a, b = keras.Input((4,), name="a"), keras.Input((7,), name="b")
    shared = layers.Dense(6, activation="relu", name="shared")
    joined = layers.concatenate([shared(layers.Dense(5)(a)), shared(layers.Dense(5)(b))])
    return keras.Model([a, b], layers.Dense(1, activation="sigmoid")(joined))


@zoo_model(random=True)
def siamese_tower_with_dropout() -> keras.Model:
    """A nested tower with batch normalisation and dropout, called twice."""
    i = keras.Input((8, 8, 2))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="tanh")(i))
    tower = keras.Model(i, layers.Dense(5)(layers.Dropout(0.4)(layers.Flatten()(x))), name="tower")
    a, b = pair((8, 8, 2))
    return keras.Model([a, b], layers.Dense(1)(ops.abs(tower(a) - tower(b))))


@zoo_model
def sequential_triplet() -> keras.Model:
    """One Sequential embedding called three times, two outputs."""
    embed = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)], name="embed")
    anchor, near, far = (keras.Input((6,), name=name) for name in ("anchor", "near", "far"))
    e = embed(anchor)
    distances = [ops.sum(ops.square(e - embed(other)), axis=-1) for other in (near, far)]
    return keras.Model([anchor, near, far], distances)


@zoo_model
def plain_sequential() -> keras.Model:
    """Nothing shared, and not functional."""
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="relu"), layers.Dense(2)])


@zoo_model
def embedding_of_two_texts() -> keras.Model:
    """Masked texts of any length through one embedding and one pooling."""
    embedding, pool = layers.Embedding(30, 6, mask_zero=True), layers.GlobalAveragePooling1D()
    a, b = pair((None,), "int32")
    return keras.Model([a, b], layers.Dot(-1, normalize=True)([pool(embedding(a)), pool(embedding(b))]))


@zoo_model
def masked_encoder_decoder() -> keras.Model:
    """One embedding and one LSTM for both ends, with states and masks."""
    embedding, lstm = layers.Embedding(20, 5, mask_zero=True), layers.LSTM(4, return_sequences=True, return_state=True)
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    _, h, c = lstm(embedding(source))
    decoded, _, _ = lstm(embedding(target), initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(20, activation="softmax")(decoded))


@zoo_model
def gru_with_and_without_a_mask() -> keras.Model:
    """One layer called on padded rows and on whole ones."""
    gru, mask = layers.GRU(4), layers.Masking()
    a, b = pair((5, 3))
    return keras.Model([a, b], layers.Dense(2)(gru(mask(a)) - gru(b)))


@zoo_model
def gru_with_every_output() -> keras.Model:
    """A GRU called twice whose outputs are the model's: the second of a name gets a number."""
    gru = layers.GRU(4, return_sequences=True, return_state=True, name="gru")
    a, b = pair((6, 3))
    first, state = gru(a)
    second, last = gru(b, initial_state=state)
    return keras.Model([a, b], [first, second, last])


@zoo_model
def bidirectional_twice() -> keras.Model:
    """A wrapper with two layers inside is one call site each time."""
    both = layers.Bidirectional(layers.LSTM(3))
    a, b = pair((5, 2))
    return keras.Model([a, b], layers.Dense(2)(both(a) * both(b)))


@zoo_model
def stacked_cells() -> keras.Model:
    """An RNN over stacked cells, shared."""
    rnn = layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)])
    a, b = pair((4, 2))
    return keras.Model([a, b], layers.Dense(1)(rnn(a) - rnn(b)))


@zoo_model
def bare_cell_step_by_step() -> keras.Model:
    """A cell called by hand, its state nested in a list."""
    cell = layers.GRUCell(4)
    a, b = pair((3,))
    state = keras.Input((4,), name="state")
    y, [state_1] = cell(a, [state])
    z, [state_2] = cell(b, [state_1])
    return keras.Model({"left": a, "right": b, "state": state}, {"y": y + z, "state": state_2})


@zoo_model
def one_dense_five_times_in_a_row() -> keras.Model:
    """Calls that depend on each other."""
    x = i = keras.Input((4,), name="start")
    dense = layers.Dense(4, activation="tanh")
    for _ in range(5):
        x = dense(x)
    return keras.Model(i, x)


@zoo_model
def called_out_of_depth_order() -> keras.Model:
    """The first call lies deeper in the graph than the second, so Keras visits them the other way round."""
    dense = layers.Dense(4)
    a, b = pair((4,))
    first = dense(a)
    second = dense(b)
    return keras.Model([a, b], first + layers.Dense(4)(layers.Dense(4)(second)))


@zoo_model
def tower_in_a_tower() -> keras.Model:
    """Two levels of submodels, each called twice: the innermost layer has four call sites."""
    i = keras.Input((6,))
    inner = keras.Model(i, layers.Dense(6, activation="relu", name="inner_dense")(i), name="inner")
    j = keras.Input((6,))
    outer = keras.Model(j, layers.Dense(3, name="outer_dense")(inner(inner(j))), name="outer")
    a, b = pair((6,))
    return keras.Model([a, b], outer(a) - outer(b))


@zoo_model
def inside_and_outside() -> keras.Model:
    """One layer inside a submodel and beside it (keras #10898)."""
    i, dense = keras.Input((5,)), layers.Dense(5, activation="tanh")
    sub = keras.Model(i, dense(i), name="sub")
    x = keras.Input((5,), name="x")
    return keras.Model(x, dense(sub(x)))


@zoo_model
def one_layer_in_two_submodels() -> keras.Model:
    """keras #9571."""
    i, dense = keras.Input((5,)), layers.Dense(3)
    m, n = keras.Model(i, dense(i), name="m"), keras.Model(i, ops.tanh(dense(i)), name="n")
    a, b = pair((5,))
    return keras.Model([a, b], layers.concatenate([m(a), n(b), n(a)]))


@zoo_model
def two_layers_of_one_name() -> keras.Model:
    """A flat graph can't hold both, so one submodel stays."""

    def tower(name: str) -> keras.Model:
        i = keras.Input((4,))
        return keras.Model(i, layers.Dense(3, name="dense")(i), name=name)

    m, n = tower("m"), tower("n")
    a, b = pair((4,))
    return keras.Model([a, b], m(a) + m(b) - n(a))


@zoo_model
def nested_dicts() -> keras.Model:
    """Inputs two levels deep, outputs one."""
    sides = {
        side: {
            "id": keras.Input((1,), dtype="int32", name=f"{side}_id"),
            "features": keras.Input((3,), name=f"{side}_features"),
        }
        for side in ("left", "right")
    }
    embedding, dense = layers.Embedding(12, 4), layers.Dense(4)
    left, right = (layers.Flatten()(embedding(s["id"])) * dense(s["features"]) for s in sides.values())
    return keras.Model(sides, {"match": layers.Dot(-1)([left, right]), "gap": left - right})


@zoo_model
def attention_block_twice() -> keras.Model:
    """One transformer block applied twice, a mask given by hand."""
    attention, norm, up, down = layers.MultiHeadAttention(2, 3), layers.LayerNormalization(), *_feed_forward()
    x, mask = keras.Input((5, 8), name="x"), keras.Input((5, 5), dtype="bool", name="allowed")
    y = x
    for _ in range(2):
        y = norm(y + attention(y, y, attention_mask=mask))
        y = y + down(up(y))
    return keras.Model([x, mask], layers.GlobalAveragePooling1D()(y))


def _feed_forward() -> tuple[keras.Layer, keras.Layer]:
    return layers.Dense(16, activation="relu"), layers.Dense(8)


@zoo_model
def heads_over_a_pyramid() -> keras.Model:
    """One head on maps of different sizes, dict outputs."""
    i = keras.Input((16, 16, 3), name="image")
    c1 = layers.Conv2D(4, 3, 2, padding="same")(i)
    c2 = layers.Conv2D(4, 3, 2, padding="same")(c1)
    head = keras.Sequential([keras.Input((None, None, 4)), layers.Conv2D(2, 3, padding="same")], name="head")
    scores = layers.Conv2D(3, 1, name="scores")
    flat = [layers.Reshape((-1, 2))(head(c)) for c in (c1, c2)]
    return keras.Model(i, {"boxes": layers.Concatenate(1)(flat), "scores": [scores(c1), scores(c2)]})


@zoo_model
def network_over_time() -> keras.Model:
    """A TimeDistributed network called twice: one call site each."""
    net = layers.TimeDistributed(keras.Sequential([layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()]))
    a, b = pair((3, 6, 6, 1))
    return keras.Model([a, b], layers.Dense(1)(layers.Flatten()(net(a) - net(b))))


@zoo_model(not_reloadable="sharing inside wrappers is in no config")
def three_wrappers_of_one_network() -> keras.Model:
    """Sharing inside wrappers, which no graph shows (keras #4281)."""
    net = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, padding="same")])
    x, y = layers.TimeDistributed(net), layers.TimeDistributed(net)
    i = keras.Input((3, 4, 4, 1), name="volume")
    return keras.Model(i, x(i) + y(i))


@zoo_model(random=True)
def training_fixed_at_a_nested_call() -> keras.Model:
    """`training` fixed differently for two calls of a submodel with dropout: only a bare call keeps to it."""
    i = keras.Input((6,))
    sub = keras.Model(i, layers.Dropout(0.5)(layers.Dense(6)(i)), name="sub")
    a, b = pair((6,))
    return keras.Model([a, b], sub(a, training=True) + sub(b, training=False))


@zoo_model
def training_fixed_inside_a_submodel() -> keras.Model:
    """A call of it that does not fix `training` takes what the call before it left, over what is fixed inside."""
    i, norm = keras.Input((4,)), layers.BatchNormalization()
    sub = keras.Model(i, norm(i, training=True), name="sub")
    a, b = pair((4,))
    return keras.Model([a, b], [sub(a), sub(b, training=False)])


@zoo_model(random=True)
def noise_on_both_sides() -> keras.Model:
    """Random layers, shared, with their calls at different depths."""
    noise, drop = layers.GaussianNoise(0.3), layers.Dropout(0.3)
    a, b = pair((5,))
    return keras.Model([a, b], drop(noise(a)) - layers.Dense(5)(drop(layers.Dense(5)(noise(b)))))


@zoo_model
def integers_into_a_float_submodel() -> keras.Model:
    """A submodel's entry casts."""
    i = keras.Input((4,))
    sub = keras.Model(i, layers.Dense(3)(i), name="sub")
    a, b = keras.Input((4,), dtype="int32", name="counts"), keras.Input((4,), name="weights")
    return keras.Model([a, b], sub(a) * sub(b))


@zoo_model
def separable_and_normalised() -> keras.Model:
    """Layers with several kernels, activations with weights, statistics that were adapted."""
    norm = layers.Normalization(mean=[0.5, -1.0], variance=[2.0, 0.3])
    conv, act = layers.SeparableConv2D(3, 3), layers.PReLU(shared_axes=[1, 2])
    a, b = pair((6, 6, 2))
    return keras.Model([a, b], layers.GlobalAveragePooling2D()(act(conv(norm(a))) + act(conv(norm(b)))))


@zoo_model
def preprocessing_that_was_adapted() -> keras.Model:
    """What the layers have learnt lies in no variable and in no config."""
    buckets = layers.Discretization(num_bins=4)
    buckets.adapt(np.random.default_rng(0).normal(size=(200, 1)).astype("float32"))
    embedding = layers.Embedding(4, 3)
    a, b = pair((4,))
    return keras.Model([a, b], layers.Flatten()(embedding(buckets(a)) * embedding(buckets(b))))


@zoo_model
def frozen_in_parts() -> keras.Model:
    """Half of a wrapper, one kernel and a whole layer do not train."""
    both, dense, still = layers.Bidirectional(layers.LSTM(2)), layers.Dense(4), layers.Dense(4, trainable=False)
    a, b = pair((3, 2))
    model = keras.Model([a, b], still(dense(both(a)) * still(dense(both(b)))))
    both.forward_layer.trainable = False
    dense.kernel.trainable = False
    return model


@zoo_model
def half_precision() -> keras.Model:
    """Two layers of one shape in float16."""
    first, second = (layers.Dense(4, dtype="float16") for _ in range(2))
    a, b = pair((4,))
    return keras.Model([a, b], [first(first(a)), second(second(b))])


@zoo_model
def all_pairs_of_four() -> keras.Model:
    """One network on every pair: six calls, summed."""
    i = keras.Input((4, 3), name="objects")
    g = keras.Sequential([layers.Dense(6, activation="relu"), layers.Dense(4)], name="g")
    objects = [layers.Flatten()(part) for part in ops.split(i, 4, axis=1)]
    related = [g(layers.concatenate([objects[m], objects[n]])) for m in range(4) for n in range(m)]
    return keras.Model(i, layers.Dense(2)(layers.Add()(related)))


@zoo_model
def causal_convolutions_of_any_length() -> keras.Model:
    """A free time axis on both sides, and an output that keeps one."""
    conv = layers.Conv1D(4, 3, padding="causal", activation="relu")
    a, b = pair((None, 2))
    return keras.Model([a, b], [conv(a), layers.GlobalMaxPooling1D()(conv(b))])


@zoo_model
def static_batch() -> keras.Model:
    """A batch that is fixed in the model."""
    dense = layers.Dense(3)
    a, b = (keras.Input(batch_shape=(2, 4), name=name) for name in ("left", "right"))
    return keras.Model([a, b], dense(a) - dense(b))
