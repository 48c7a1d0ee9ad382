"""Native recurrent nodes against Keras, over random shapes, masks and options."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from tests.export.recurrent.agreement import Exported

# Keras and onnxruntime sum in different orders, and both approximate tanh: over ten steps that is some 1e-6.
CLOSE = 2e-5

ACTIVATIONS = ["tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "softsign", "elu", "leaky_relu"]
quick = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def plans(draw: st.DrawFn) -> dict:
    """Options of a recurrent layer, the shape of its input, and what surrounds it."""
    kind = draw(st.sampled_from(["LSTM", "GRU", "SimpleRNN"]))
    options = {
        "units": draw(st.integers(1, 5)),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "zero_output_for_mask": draw(st.booleans()),
    }
    if kind != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "hard_sigmoid", "tanh"]))
    if kind == "GRU":
        options["reset_after"] = draw(st.booleans())
    return {
        "kind": kind,
        "options": options,
        "features": draw(st.integers(1, 4)),
        "batch": draw(st.integers(1, 4)),
        "steps": draw(st.integers(1, 7)),
        "is_static": draw(st.booleans()),
        "is_masked": draw(st.booleans()),
        "has_state": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**16)),
    }


def built(plan: dict) -> keras.Model:
    """The model of a plan: one layer, with a mask and initial states passed by hand."""
    steps = plan["steps"] if plan["is_static"] else None
    x = keras.Input((steps, plan["features"]), name="x")
    inputs = [x]
    arguments = {}
    layer = getattr(layers, plan["kind"])(**plan["options"])
    if plan["is_masked"]:
        inputs.append(keras.Input((steps,), dtype="bool", name="mask"))
        arguments["mask"] = inputs[-1]
    if plan["has_state"]:
        count = 2 if plan["kind"] == "LSTM" else 1
        states = [keras.Input((plan["options"]["units"],), name=f"state_{index}") for index in range(count)]
        inputs += states
        arguments["initial_state"] = states
    outputs = layer(x, **arguments)
    return keras.Model(inputs, outputs)


def fed(plan: dict) -> dict[str, np.ndarray]:
    """Random inputs; the mask has rows with no valid step, and rows with nothing else."""
    rng = np.random.default_rng(plan["seed"])
    shape = (plan["batch"], plan["steps"], plan["features"])
    feed = {"x": rng.normal(size=shape).astype("float32")}
    if plan["is_masked"]:
        mask = rng.random(shape[:2]) < rng.choice([0.0, 0.3, 0.7, 1.0], (shape[0], 1))
        feed["mask"] = mask
        feed["x"][~mask] = np.nan if plan["seed"] % 2 else 1e3
    if plan["has_state"]:
        for index in range(2 if plan["kind"] == "LSTM" else 1):
            feed[f"state_{index}"] = rng.normal(size=(shape[0], plan["options"]["units"])).astype("float32")
    return feed


@pytest.mark.slow
@quick
@given(plans())
def test_one_layer_with_any_options_is_one_native_node(plan: dict) -> None:
    """Any mask, any options, values that must not leak in at masked steps."""
    exported = Exported(built(plan), plan["seed"])
    operators = exported.operators()
    assert operators["LSTM"] + operators["GRU"] + operators["RNN"] == 1
    assert not operators["Loop"] + operators["Scan"] + operators["If"]
    assert exported.error(fed(plan)) < CLOSE


def padded(rng: np.random.Generator, batch: int, steps: int, features: int) -> np.ndarray:
    """Sequences in which rows of zeros stand for steps that do not count."""
    x = rng.normal(size=(batch, steps, features)).astype("float32")
    x[rng.random((batch, steps)) < rng.choice([0.0, 0.4, 1.0], (batch, 1))] = 0
    return x


@pytest.mark.slow
@quick
@given(
    kind=st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
    merge=st.sampled_from(["concat", "sum", "mul", "ave", None]),
    flags=st.tuples(*[st.booleans()] * 4),
    seed=st.integers(0, 2**16),
)
def test_both_directions_are_two_native_nodes(kind: str, merge: str | None, flags: tuple, seed: int) -> None:
    """Every merge mode, with and without a mask, a backward layer of its own, states handed on."""
    sequences, state, is_masked, has_own = flags
    layer = getattr(layers, kind)
    forward = layer(3, return_sequences=sequences, return_state=state)
    own = layer(3, return_sequences=sequences, return_state=state, go_backwards=True, use_bias=False)
    x = keras.Input((None, 2), name="x")
    inner = layers.Masking()(x) if is_masked else x
    outputs = layers.Bidirectional(forward, merge_mode=merge, backward_layer=own if has_own else None)(inner)
    exported = Exported(keras.Model(x, outputs), seed)
    operators = exported.operators()
    assert operators["LSTM"] + operators["GRU"] + operators["RNN"] == 2
    assert not operators["Loop"] + operators["Scan"]
    rng = np.random.default_rng(seed)
    assert exported.error({"x": padded(rng, 3, int(rng.integers(1, 7)), 2)}) < CLOSE


CELLS = {
    "LSTMCell": lambda units: layers.LSTMCell(units),
    "GRUCell": lambda units: layers.GRUCell(units, reset_after=False),
    "GRUCell_reset_after": lambda units: layers.GRUCell(units),
    "SimpleRNNCell": lambda units: layers.SimpleRNNCell(units, use_bias=False),
}


@pytest.mark.slow
@quick
@given(
    cells=st.lists(st.tuples(st.sampled_from(sorted(CELLS)), st.integers(1, 4)), min_size=1, max_size=3),
    flags=st.tuples(*[st.booleans()] * 5),
    seed=st.integers(0, 2**16),
)
def test_stacked_cells_are_one_native_node_each(cells: list, flags: tuple, seed: int) -> None:
    """A list of cells, in either direction, with and without a mask and states."""
    sequences, state, is_masked, backwards, zeroed = flags
    x = keras.Input((None, 2), name="x")
    inner = layers.Masking()(x) if is_masked else x
    stack = [CELLS[name](units) for name, units in cells]
    layer = layers.RNN(
        stack if len(stack) > 1 else stack[0],
        return_sequences=sequences,
        return_state=state,
        go_backwards=backwards,
        zero_output_for_mask=zeroed,
    )
    exported = Exported(keras.Model(x, keras.tree.flatten(layer(inner))), seed)
    operators = exported.operators()
    assert operators["LSTM"] + operators["GRU"] + operators["RNN"] == len(cells)
    assert not operators["Loop"] + operators["Scan"]
    rng = np.random.default_rng(seed)
    assert exported.error({"x": padded(rng, 3, int(rng.integers(1, 7)), 2)}) < CLOSE
