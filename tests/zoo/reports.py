"""Models after public reports of exports that failed, were slow or were wrong; the thread is in each docstring."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from tests.zoo.registry import pair, zoo_model

# --- recurrent ----------------------------------------------------------------------------------------------------


@zoo_model
def sequences_of_a_backward_lstm() -> keras.Model:
    """keras-onnx #523, onnxruntime #4187, tvm #15176: steps come out in the order in which they were read."""
    embed = layers.Embedding(10, 4)
    lstm = layers.LSTM(5, go_backwards=True, return_sequences=True)
    a, b = pair((10,), "int32")
    dense = layers.Dense(1, activation="sigmoid")
    return keras.Model([a, b], [dense(lstm(embed(a))), lstm(embed(b))])


@zoo_model
def masked_rows_under_a_bias() -> keras.Model:
    """keras-onnx #386: a row that is masked at every step stays zero, whatever the biases are."""
    x, counts = keras.Input((4, 3), name="x"), keras.Input((1, 1), dtype="bool", name="row_counts")
    steps = layers.Masking()(x * ops.cast(counts, "float32"))
    return keras.Model([x, counts], [layers.LSTM(3)(steps), layers.GRU(3)(steps), layers.SimpleRNN(3)(steps)])


@zoo_model
def lstm_behind_a_masked_embedding() -> keras.Model:
    """tensorflow-onnx #1871, open since 2022: becomes a loop."""
    words = keras.Input((4,), dtype="int32", name="words")
    embed, lstm = layers.Embedding(5, 5, mask_zero=True), layers.LSTM(3, return_sequences=True)
    return keras.Model(words, lstm(embed(words))[0])


@zoo_model
def both_directions_behind_masking() -> keras.Model:
    """keras-onnx #400, keras #4468: each direction leaves out its own end."""
    mask, both = layers.Masking(), layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    x = keras.Input((6, 5), name="x")  # Keras' TimeDistributed loses steps of a masked free axis
    return keras.Model(x, layers.TimeDistributed(layers.Dense(2, activation="sigmoid"))(both(mask(x))))


@zoo_model
def text_recognition() -> keras.Model:
    """keras-onnx #619: convolutions, a reshape to time, two directions added and joined by hand."""
    image = keras.Input((8, 12, 1), name="the_input")
    x = layers.MaxPooling2D(2)(layers.Conv2D(3, 3, padding="same", activation="relu")(image))
    steps = layers.Reshape((4, 18))(x)
    forward, backward = layers.LSTM(4, return_sequences=True), layers.LSTM(4, return_sequences=True, go_backwards=True)
    added = layers.Add()([forward(steps), ops.flip(backward(steps), axis=1)])
    again, turned = layers.GRU(3, return_sequences=True), layers.GRU(3, return_sequences=True, go_backwards=True)
    joined = layers.concatenate([again(added), ops.flip(turned(added), axis=1)])
    return keras.Model(image, layers.Dense(5, activation="softmax")(joined))


@zoo_model
def sequence_autoencoder() -> keras.Model:
    """keras-onnx #123: right at batch 1 and wrong at others."""
    x = keras.Input((6, 2), name="x")
    code = layers.LSTM(4, activation="relu")(x)
    decoded = layers.LSTM(4, activation="relu", return_sequences=True)(layers.RepeatVector(6)(code))
    return keras.Model(x, layers.TimeDistributed(layers.Dense(2))(decoded))


@zoo_model
def gru_of_one_step() -> keras.Model:
    """keras-onnx #526: a Sequential GRU over one step."""
    return keras.Sequential([keras.Input((1, 9)), layers.GRU(5), layers.Dense(7, activation="sigmoid")])


@zoo_model
def streaming_step() -> keras.Model:
    """tensorflow-onnx #939: one step at a time, the state an input and an output."""
    gru = layers.GRU(4, return_sequences=True, return_state=True)
    now, then = (keras.Input((1, 3), name=name) for name in ("now", "then"))
    state = keras.Input((4,), name="state")
    y, first = gru(now, initial_state=state)
    z, second = gru(then, initial_state=first)
    return keras.Model([now, then, state], {"first": y, "second": z, "new_state": second})


@zoo_model
def merged_directions_of_two_layers() -> keras.Model:
    """tensorflow-onnx #1869: bidirectional layers that were not seen as one, on each other."""
    first = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    second = layers.Bidirectional(layers.GRU(2))
    a, b = pair((None, 2))
    return keras.Model([a, b], second(first(a)) - second(first(b)))


@zoo_model
def gru_of_many_steps() -> keras.Model:
    """onnxruntime #10069: errors of a wrong reset gate grow over 28 steps."""
    gru = layers.GRU(5, return_sequences=True, recurrent_activation="sigmoid")
    a, b = pair((28, 5))
    return keras.Model([a, b], layers.Dense(3)(gru(a)) - layers.Dense(3)(gru(b)))


@zoo_model
def title_ranker() -> keras.Model:
    """keras #4957: a masked query, titles through one LSTM each, a softmax over scores."""
    mask, read_query, read_title = layers.Masking(), layers.LSTM(4), layers.LSTM(4)
    unit, query = layers.UnitNormalization(), keras.Input((None, 3), name="query")
    titles = [keras.Input((5, 3), name=f"title_{number}") for number in range(3)]
    asked = unit(read_query(mask(query)))
    scores = [layers.Dot(-1)([asked, unit(read_title(mask(title)))]) for title in titles]
    return keras.Model([query, *titles], {"probability": layers.Softmax()(4.0 * layers.concatenate(scores))})


@zoo_model
def spatial_dropout_between_recurrent_layers() -> keras.Model:
    """keras-onnx #271: conditions that a dropout leaves behind."""
    x, drop = keras.Input((None, 3), name="x"), layers.SpatialDropout1D(0.4)
    lstm, gru = layers.LSTM(3, return_sequences=True), layers.GRU(3)
    return keras.Model(x, [gru(drop(lstm(drop(x)))), gru(x)])


# --- convolutions and images --------------------------------------------------------------------------------------


@zoo_model
def causal_and_dilated() -> keras.Model:
    """keras-onnx #246, #460: dilation under causal padding."""
    first = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")
    second, pool = layers.Conv1D(3, 2, padding="causal", dilation_rate=4), layers.GlobalAveragePooling1D()
    a, b = pair((None, 3))
    return keras.Model([a, b], layers.Dense(2)(pool(second(first(a))) - pool(second(first(b)))))


@zoo_model
def grouped_and_dilated() -> keras.Model:
    """tensorflow-onnx #1434: a grouped convolution is called through a function of its own."""
    conv, pool = layers.Conv2D(4, 3, groups=2, dilation_rate=2, activation="relu"), layers.GlobalMaxPooling2D()
    a, b = pair((9, 9, 4))
    return keras.Model([a, b], layers.Dense(3)(pool(conv(a)) * pool(conv(b))))


@zoo_model
def enlarged_in_two_ways() -> keras.Model:
    """tensorflow #33691, tensorflow-onnx #294: nearest and bilinear enlarging around one convolution."""
    conv, image = layers.Conv2D(2, 3, padding="same"), keras.Input((5, 7, 3), name="image")
    enlarge = {mode: layers.UpSampling2D((2, 3), interpolation=mode) for mode in ("nearest", "bilinear")}
    narrow = layers.Conv2D(3, 1)(conv(image))
    return keras.Model(image, {mode: conv(layer(narrow)) for mode, layer in enlarge.items()})


@zoo_model
def enlarged_by_cubics() -> keras.Model:
    """The same with bicubic interpolation, whose weights TensorFlow reads from a table."""
    conv, image = layers.Conv2D(2, 3, padding="same"), keras.Input((5, 7, 2), name="image")
    enlarge = layers.UpSampling2D((2, 3), interpolation="bicubic")
    return keras.Model(image, conv(enlarge(conv(image))))


@zoo_model
def labels_resized() -> keras.Model:
    """tensorflow-onnx #2191: integers into a resize."""
    image = keras.Input((9, 9, 3), dtype="uint8", name="image")
    labels = keras.Input((9, 9, 1), dtype="int32", name="labels")
    conv, smaller = layers.Conv2D(2, 3), layers.Rescaling(1 / 255.0)(layers.Resizing(6, 12)(image))
    small_labels = layers.Resizing(6, 12, interpolation="nearest", dtype="int32")(labels)
    return keras.Model([image, labels], {"features": conv(smaller), "small_labels": small_labels})


@zoo_model
def backbone_in_a_model() -> keras.Model:
    """keras-onnx #186: a nested backbone of padding, strides and normalisation."""
    i = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, strides=2, use_bias=False)(layers.ZeroPadding2D(((0, 1), (0, 1)))(i))
    backbone = keras.Model(i, layers.ReLU()(layers.BatchNormalization()(x)), name="backbone")
    a, b = pair((9, 9, 3))
    transposed = layers.Conv2DTranspose(2, 3, strides=2, padding="same")
    return keras.Model([a, b], transposed(backbone(a)) - transposed(backbone(b)))


@zoo_model
def normalised_in_groups() -> keras.Model:
    """onnx2tf #401, diffusion models: GroupNormalization and swish around a shared convolution."""
    norm, conv = layers.GroupNormalization(2), layers.Conv2D(4, 3, padding="same")
    a, b = pair((6, 6, 4))
    left, right = (conv(ops.silu(norm(x))) for x in (a, b))
    return keras.Model([a, b], [norm(left - right), layers.GlobalAveragePooling2D()(right)])


@zoo_model
def augmented_tower() -> keras.Model:
    """tensorflow-onnx #2395, keras #21346: augmentation that stayed on at serving time."""
    tower = keras.Sequential([keras.Input((8, 8, 3)), layers.RandomFlip(), layers.RandomRotation(0.1)], name="tower")
    for layer in (layers.RandomZoom(0.1), layers.RandomContrast(0.1), layers.Conv2D(3, 3), layers.GlobalMaxPooling2D()):
        tower.add(layer)
    a, b = pair((8, 8, 3))
    return keras.Model([a, b], layers.Dense(2)(tower(a) - tower(b)))


@zoo_model(not_reloadable="sharing inside wrappers is in no config")
def volume_from_three_sides() -> keras.Model:
    """keras #4281: one network inside three wrappers."""
    volume = keras.Input((4, 4, 4, 1), name="volume")
    net = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, padding="same"), layers.Conv2D(1, 1)])
    turns = [(1, 2, 3, 4), (2, 1, 3, 4), (3, 2, 1, 4)]
    seen = [layers.Permute(turn)(layers.TimeDistributed(net)(layers.Permute(turn)(volume))) for turn in turns]
    return keras.Model(volume, layers.Conv3D(1, 1)(layers.concatenate(seen)))


# --- preprocessing and operators ----------------------------------------------------------------------------------


@zoo_model
def buckets_and_codes() -> keras.Model:
    """tensorflow-onnx #2222: Bucketize and an integer lookup table."""
    bucket, lookup = (
        layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.5, 2.0]),
        layers.IntegerLookup(vocabulary=[7, 3, 5]),
    )
    embed, other = layers.Embedding(5, 3), layers.Embedding(4, 3)
    price, code = keras.Input((3,), name="price"), keras.Input((3,), dtype="int64", name="code")
    joined = embed(bucket(price)) + embed(bucket(2 * price)) + other(lookup(code))
    return keras.Model([price, code], layers.Dense(2)(layers.Flatten()(joined)))


@zoo_model
def spectra() -> keras.Model:
    """tensorflow-onnx #2155, #2274, #1108: `rfft`, real and imaginary parts through one layer."""
    dense, (a, b) = layers.Dense(4), pair((16,))
    left, right = (layers.concatenate([dense(part) for part in ops.rfft(x)]) for x in (a, b))
    return keras.Model([a, b], left - right)


@zoo_model
def labels_by_argmax() -> keras.Model:
    """keras-onnx #487: the index of the largest."""
    conv, (a, b) = layers.Conv2D(5, 3, padding="same"), pair((6, 6, 3))
    labels = {"left_label": ops.argmax(conv(a), axis=3), "best": ops.max(conv(a) + conv(b), axis=-1)}
    return keras.Model([a, b], {**labels, "right_label": ops.cast(ops.argmax(conv(b), axis=-1), "uint8")})


@zoo_model
def best_three() -> keras.Model:
    """tensorflow-onnx #701: values and indices of `top_k`."""
    dense, (a, b) = layers.Dense(9), pair((5,))
    (values, first), (others, second) = ops.top_k(dense(a), 3), ops.top_k(dense(b), 3)
    return keras.Model([a, b], {"values": values - others, "first": first, "second": second})


@zoo_model
def not_a_number_in_the_branch_not_taken() -> keras.Model:
    """tensorflow-onnx #1988, #1532: `where` as a product lets a NaN through."""
    dense, (a, b) = layers.Dense(4), pair((5,))
    left, right = (ops.where(dense(x) > 0, ops.log(dense(x)), 0.0) for x in (a, b))
    safe = ops.divide_no_nan(left, ops.relu(right))
    return keras.Model([a, b], [left - right, safe, ops.where(a > 0, ops.sqrt(a), -1.0)])


@zoo_model(refused=("words",))
def words_looked_up() -> keras.Model:
    """tensorflow-onnx #1867, #2100: strings have to be looked up outside the model."""
    lookup, embed = layers.StringLookup(vocabulary=["red", "green"], name="words"), layers.Embedding(3, 4)
    a, b = pair((2,), "string")
    return keras.Model([a, b], layers.Dense(1)(layers.Flatten()(embed(lookup(a)) * embed(lookup(b)))))


# --- long, wide and low -------------------------------------------------------------------------------------------


@zoo_model
def two_hundred_calls() -> keras.Model:
    """tensorflow-onnx #1987: one layer, called two hundred times."""
    dense = layers.Dense(4, activation="tanh")
    x = start = keras.Input((4,), name="start")
    for _ in range(200):
        x = dense(x)
    return keras.Model(start, x)


@zoo_model
def twelve_heads() -> keras.Model:
    """tensorflow #61251: outputs past the tenth, whose order a sort by name changes."""
    board, shared = keras.Input((5,), name="board"), layers.Dense(5, activation="tanh")
    x = shared(layers.Dense(5)(board))
    return keras.Model(board, [layers.Dense(k + 1, name=f"head_{k}")(shared(x)) for k in range(12)])


@zoo_model
def convolution_before_an_unfused_normalisation() -> keras.Model:
    """tensorflow-onnx #1494: a normalisation folded into a convolution that others read, and applied again."""
    conv, norm = layers.Conv2D(3, 3, name="conv"), layers.BatchNormalization(name="norm")
    a, b = pair((7, 7, 2))
    return keras.Model([a, b], [norm(conv(a)), conv(b), norm(conv(b))])


def _equal_kernels(model: keras.Model) -> None:
    table = np.linspace(-1.0, 1.0, 16, dtype="float32").reshape(4, 4)
    for name in ("first", "second"):
        model.get_layer(name).kernel.assign(table)


@zoo_model(finish=_equal_kernels)
def two_layers_of_equal_values() -> keras.Model:
    """pytorch #108342 the other way round: two variables that happen to be equal are two."""
    first, second = layers.Dense(4, name="first"), layers.Dense(4, name="second")
    a, b = pair((4,))
    return keras.Model([a, b], [first(second(a)), second(first(b))])
