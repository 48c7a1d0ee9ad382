"""What is said of sharing inside layers that have no graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline.errors import BadInput
from pipeline.oracle.describe import describe
from pipeline.records import Description, Sharing
from tests.zoo import ZOO


class Apart(layers.Layer):
    """How far two inputs are from a third, through one encoder."""

    def __init__(self, encoder: Any, **options: Any) -> None:
        super().__init__(**options)
        self.encoder = encoder
        self.last: Any = None

    def call(self, a: Any, b: Any, c: Any) -> Any:
        """The encoder runs three times."""
        a, b, c = self.encoder(a), self.encoder(b), self.encoder(c)
        self.last = ops.sum((a - b) ** 2, -1) - ops.sum((a - c) ** 2, -1)
        return self.last


class Applied(layers.Layer):
    """A layer of a user's own that applies a function to a layer and what it is called on."""

    def __init__(self, inner: Any, apply: Any, **options: Any) -> None:
        super().__init__(**options)
        self.inner = inner
        self.apply = apply

    def build(self, shape: Any) -> None:
        """The inner layer's weights."""
        if not self.inner.built:
            self.inner.build(shape)

    def compute_output_shape(self, shape: Any) -> Any:
        """What it is: Keras does not run `call` for it."""
        return shape

    def call(self, x: Any) -> Any:
        """What the function says."""
        return self.apply(self.inner, x)


class InAFunction(Applied):
    """One whose `call` is compiled by itself, and was traced by Keras when the model was built."""

    compute_output_shape = layers.Layer.compute_output_shape

    @tf.function
    def call(self, x: Any) -> Any:
        """What the function says, of which TensorFlow has a trace already."""
        return self.apply(self.inner, x)


class Halved(layers.LSTM):
    """Keras' own layer, with a little more in its call."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """Half of the answer."""
        return super().call(sequences, initial_state, mask, training) / 2


class Cell(layers.Layer):
    """A cell of a user's own, with a layer that it calls twice and one that it calls once a step."""

    def __init__(self) -> None:
        super().__init__(name="cell")
        self.state_size = self.output_size = 3
        self.twice, self.once = layers.Dense(3, name="twice"), layers.Dense(3, name="once")

    def build(self, shape: Any) -> None:
        """Both layers' weights."""
        self.twice.build((None, 3))
        self.once.build(shape)

    def call(self, x: Any, states: Any) -> Any:
        """One step."""
        state = self.twice(self.twice(states[0])) + self.once(x)
        return state, [state]


def encoder() -> keras.Sequential:
    """Two Dense layers."""
    inner = [layers.Dense(16, name="hidden"), layers.Dense(4, name="code")]
    return keras.Sequential(inner, name="encoder")


def triplet() -> keras.Model:
    """One call site in the graph."""
    inputs = [keras.Input((8,)) for _ in range(3)]
    return keras.Model(inputs, Apart(encoder(), name="apart")(*inputs), name="triplet")


def around(layer: layers.Layer, shape: tuple[int | None, ...] = (4,)) -> keras.Model:
    """A model of one layer."""
    x = keras.Input(shape)
    return keras.Model(x, layer(x), name="around")


def twice(inner: Any, x: Any) -> Any:
    """The inner layer's answer to its answer."""
    return inner(inner(x))


def dense(name: str = "dense") -> layers.Dense:
    """A square one."""
    return layers.Dense(4, name=name)


def found(described: Description) -> dict[str, tuple[int, str]]:
    """What is shared, by path, the call sites and inside what; what lies below too."""

    def each(shared: Sharing) -> dict[str, tuple[int, str]]:
        own = {shared.layer: (len(shared.call_sites), shared.inside)}
        return own | {path: told for below in shared.layers for path, told in each(below).items()}

    return {path: told for shared in described.sharing for path, told in each(shared).items()}


def test_an_encoder_that_runs_three_times_inside_a_layer_is_shared() -> None:
    """One line with its layers below, and never that there is none."""
    described = describe(triplet())
    assert str(described).splitlines()[1:] == [
        "  encoder: 3 call sites inside apart (Sequential, 212 parameters)",
        "    called on (None, 8)",
        "    hidden (Dense, 144 parameters)",
        "    code (Dense, 68 parameters)",
        "  what is shared inside a layer's own code stays shared in the unshared twin",
    ]
    (shared,) = described.sharing
    assert shared.call_sites == tuple(f"apart/encoder/call_{number}" for number in (1, 2, 3))
    assert described.shared_layers == ()
    assert described.may_share
    assert Description.model_validate_json(described.model_dump_json()) == described


def test_looking_inside_leaves_a_model_as_it_was() -> None:
    """No call is noted in its layers, and no tensor of the trace kept."""
    model = triplet()
    before = {id(each): dict(vars(each)) for each in model._flatten_layers()}
    calls = {id(each): len(each._inbound_nodes) for each in model._flatten_layers()}
    assert found(describe(model))
    for each in model._flatten_layers():
        assert len(each._inbound_nodes) == calls[id(each)]
        assert all(value is before[id(each)].get(name) for name, value in vars(each).items() if name != "_called")


def test_a_subclassed_model_that_was_called_is_looked_into() -> None:
    """Its own call makes all of the calls."""

    class Compared(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="compared")
            self.encoder = dense("encoder")

        def call(self, pair: Any) -> Any:
            return self.encoder(pair[0]) - self.encoder(pair[1])

    model = Compared()
    with pytest.raises(BadInput, match="has no graph to read"):
        describe(model)
    model([np.ones((2, 4), "float32")] * 2)
    nodes = len(model._inbound_nodes)
    assert found(describe(model)) == {"compared/encoder": (2, "compared")}
    assert len(model._inbound_nodes) == nodes


MODELS = {
    "a layer that is called once": (lambda: around(Applied(dense(), lambda inner, x: inner(x))), {}),
    "a function that was compiled before": (
        lambda: around(InAFunction(dense(), twice, name="own")),
        {"own/dense": (2, "own")},
    ),
    "a cell, of which a loop makes no more": (
        lambda: around(layers.RNN(Cell(), name="rnn"), (5, 3)),
        {"rnn/cell/twice": (2, "rnn/cell")},
    ),
    "a recurrent layer, whose loop is not the user's": (
        lambda: around(Halved(4), (5, 4)),
        {},
    ),
    "a wrapper around a graph": (
        lambda: around(
            layers.TimeDistributed(around(Applied(dense(), twice, name="own")), name="steps"),
            (3, 4),
        ),
        {"steps/around/own/dense": (2, "steps/around/own")},
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_what_a_layer_means_to_call_is_counted(case: str) -> None:
    """Not what Keras' own loops call."""
    build, expected = MODELS[case]
    described = describe(build())
    assert (found(described), described.unseen) == (expected, {})


def test_a_layer_that_different_layers_hold_is_one() -> None:
    """Two layers of a user's own and the graph call it: each call site is told, and nothing twice."""
    shared = dense("shared")
    a, b = keras.Input((4,)), keras.Input((4,))
    once = [Applied(shared, lambda inner, x: inner(x), name=name) for name in ("left", "right")]
    described = describe(keras.Model([a, b], once[0](a) + once[1](b) + shared(a)))
    assert found(described) == {"left/shared": (3, "")}
    assert [line.strip() for line in str(described).splitlines()[2:]] == [
        "left/shared/call_1 (None, 4)",
        "right/shared/call_2 (None, 4)",
        "shared/call_3 (None, 4)",
    ]


def test_a_shared_layer_of_a_users_own_has_its_layers_below() -> None:
    """Like a submodel; those that it calls more often say so."""
    own = Apart(encoder(), name="apart")
    inputs = [keras.Input((8,)) for _ in range(4)]
    described = describe(keras.Model(inputs, own(*inputs[:3]) + own(*inputs[1:])))
    assert [line.strip() for line in str(described).splitlines()[1:4]] == [
        "apart: 2 call sites (Apart, 212 parameters)",
        "called on (None, 8)",
        "encoder: 6 call sites (Sequential, 212 parameters)",
    ]
    assert described.parameters.unshared == 2 * described.parameters.stored


UNSEEN = {
    "numbers of a tensor": (lambda inner, x: inner(x) if float(x[0, 0]) else x, "float"),
    "a call that goes round Keras": (lambda inner, x: inner.call(inner.call(x)), "no call of 'dense' was seen"),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_can_t_be_seen_is_said(case: str) -> None:
    """Never that there is none."""
    apply, reason = UNSEEN[case]
    described = describe(around(Applied(dense(), apply, name="own")))
    assert reason in described.unseen["own"]
    assert "what is shared inside own could not be seen: " in str(described)
    assert "no layer is called" not in str(described)
    assert described.may_share


def test_no_weights_are_made_by_looking() -> None:
    """They would come from a seed that nobody has set."""

    class Lazy(Applied):
        def build(self, shape: Any) -> None:
            """Leaves it to the call."""

    model = around(Lazy(dense(), twice, name="own"))
    described = describe(model)
    assert not model.weights
    assert described.unseen == {"own": "not all of its layers are built: call the model once before"}


def test_submodels_are_one_line_with_their_layers_below() -> None:
    """Those that are called more often than what they are part of say how often."""
    assert str(describe(ZOO["tower_in_a_tower"]())).splitlines()[1:] == [
        "  outer: 2 call sites (Functional, 63 parameters)",
        "    called on (None, 6)",
        "    inner: 4 call sites (Functional, 42 parameters)",
        "      inner_dense (Dense, 42 parameters)",
        "    outer_dense (Dense, 21 parameters)",
    ]


def test_a_plain_layer_is_one_line_and_what_it_is_called_on() -> None:
    """Each shape once."""
    lstm = layers.LSTM(4, name="lstm")
    a, b = keras.Input((5, 3)), keras.Input((7, 3))
    assert str(describe(keras.Model([a, b], lstm(a) - lstm(b)))).splitlines()[1:] == [
        "  lstm: 2 call sites (LSTM, 128 parameters)",
        "    called on (None, 5, 3) and (None, 7, 3)",
    ]


def test_of_a_large_tower_the_first_layers_are_listed() -> None:
    """The others are counted, and are in the JSON."""
    tower = keras.Sequential([keras.Input((4,)), *(dense(f"dense_{number}") for number in range(40))], name="tower")
    a, b = keras.Input((4,)), keras.Input((4,))
    described = describe(keras.Model([a, b], tower(a) - tower(b)))
    lines = str(described).splitlines()
    assert len(lines) == 3 + 20 + 1
    assert lines[-1].strip() == "and 20 more (--json has all)"
    assert len(described.sharing[0].layers) == 40


def test_a_weight_that_is_read_of_a_layer_of_the_graph_is_seen() -> None:
    """The tied output holds the embedding to read its table: that is told of the weights, and nothing is unseen."""
    described = describe(ZOO["tied_language_model"]())
    assert [shared.kind for shared in described.sharing] == ["layers with the same weights"]
    assert described.unseen == {}
