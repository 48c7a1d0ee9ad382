"""The reference computes in float64 all through, or there is none."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import pipeline
from pipeline import bundle
from pipeline.graph.fresh import NotRebuildable
from pipeline.oracle.freeze import freeze
from pipeline.truth.float64 import float64_clone, float64_model
from pipeline.truth.signature import read_signature
from pipeline.truth.wide_scope import computing_in_float64
from pipeline.verify.output_error import judge_output


class Scores(layers.Layer):
    """Two layers made in `__init__`, of which no config tells, and no word about the shape that it gives."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, "relu")
        self.scores = layers.Dense(6, "softmax")

    def call(self, x):  # noqa: D102
        return self.scores(self.hidden(x))


class Own(layers.Layer):
    """Calls a function of its own."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):  # noqa: D102
        return self.function(x)

    def get_config(self):  # noqa: D102
        return {**super().get_config(), "function": self.function}


def difference_of_scores(scale: float = 0.03) -> keras.Model:
    """One layer on two inputs, the results subtracted: with small weights little is left."""
    scores = Scores()
    one, other = keras.Input((4,), name="one"), keras.Input((4,), name="other")
    model = keras.Model([one, other], ops.subtract(scores(one), scores(other)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(scale=scale, size=weight.shape))
    return model


def through(function) -> keras.Model:
    """A Dense, and a layer of one's own."""
    x = keras.Input((4,), name="x")
    return keras.Model(x, Own(function, name="own")(layers.Dense(3)(x)))


def traced(model: keras.Model):
    """The graph of its clone, and the clone."""
    wide, signature = float64_model(model), read_signature(model)
    specs = [{spec.name: tf.TensorSpec([None, *spec.shape[1:]], "float64") for spec in signature.inputs}]
    function = tf.function(wide.named_call(signature), autograph=False, input_signature=specs)
    return function.get_concrete_function().graph, wide


def test_layers_that_a_layer_makes_for_itself_compute_in_float64() -> None:
    """They have the global policy, and no config tells of them."""
    model = difference_of_scores()
    clone = float64_clone(model)
    assert {weight.dtype for weight in clone.weights} == {"float64"}
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 5, 4))
    (w, b), (v, c) = (
        [np.asarray(weight, np.float64) for weight in pair] for pair in (model.weights[:2], model.weights[2:])
    )

    def scores(x: np.ndarray) -> np.ndarray:
        powers = np.exp(np.maximum(x @ w + b, 0) @ v + c)
        return powers / powers.sum(axis=1, keepdims=True)

    expected = scores(one) - scores(other)
    assert np.abs(np.asarray(clone([one, other])) - expected).max() < 1e-15


def test_a_difference_of_small_scores_is_exported(tmp_path) -> None:
    """Where sublayers of the reference stayed in float32, Keras' own error was 0 and a sound file failed."""
    pipeline.export_bundle(
        difference_of_scores(), tmp_path / "bundle", options=pipeline.ExportOptions(formats=("onnx",))
    )
    truth = bundle.read_truth(tmp_path / "bundle")
    assert truth.no_float64 is None
    assert all(budget.keras > 0 for budget in truth.budgets if budget.kind == "random")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.cast(ops.softmax(ops.cast(x, "float32")), x.dtype),
        lambda x: x * ops.ones((3,), "float32") + ops.full((3,), 0.5, dtype="float32"),
        lambda x: ops.divide(x, ops.arange(3) + 2) + ops.arange(3, dtype="float32"),
        lambda x: x * tf.cast(tf.cast(x > 0, tf.float32), x.dtype),
        lambda x: ops.one_hot(ops.argmax(x, axis=-1), 3) * ops.cast(ops.signbit(x), x.dtype),
        lambda x: ops.image.resize(ops.reshape(x, (-1, 3, 1, 1)), (5, 2))[:, :3, 0, 0],
    ],
)
def test_a_precision_asked_for_by_its_name_does_not_narrow_the_reference(function) -> None:
    """Nor does a mask of zeros and ones, which float32 holds exactly."""
    graph, wide = traced(through(function))
    wide.refuse_narrow(graph)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.cast(tf.cast(x, tf.float32) * 0.1, x.dtype),
        lambda x: tf.while_loop(
            lambda i, y: i < 3,
            lambda i, y: (i + 1, tf.cast(tf.sin(tf.cast(y, tf.float32)), y.dtype)),
            (0, x),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3])),
        )[1],
        lambda x: x * tf.cast(tf.sqrt(tf.cast(tf.cast(x > 0, tf.int32) + 1, tf.float32)), x.dtype),
    ],
)
def test_a_layer_that_computes_in_less_all_the_same_is_named(function) -> None:
    """Inside a loop too, and from integers."""
    graph, wide = traced(through(function))
    with pytest.raises(NotRebuildable, match="layer 'own' computes in less than float64"):
        wide.refuse_narrow(graph)


def test_without_a_reference_in_float64_the_reason_is_told(tmp_path) -> None:
    """And the stated rule judges."""
    truth = freeze(through(lambda x: tf.cast(tf.cast(x, tf.float32) * 0.1, x.dtype)), tmp_path)
    assert truth.no_float64 is not None
    assert "layer 'own'" in truth.no_float64
    assert {budget.rule for budget in truth.budgets} == {"stated"}


def test_another_thread_is_told_nothing_of_float64() -> None:
    """It may be serving, or building a model of its own."""
    seen: dict[str, object] = {}

    def look() -> None:
        seen["floatx"] = keras.config.floatx()
        seen["made"] = layers.Dense(1).compute_dtype
        seen["cast"] = ops.cast(np.ones(2), "float32").dtype.name
        seen["ones"] = ops.ones((2,), "float32").dtype.name

    with computing_in_float64():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert ops.cast(np.ones(2), "float32").dtype == ops.ones((2,)).dtype == "float64"
    assert seen == {"floatx": "float32", "made": "float32", "cast": "float32", "ones": "float32"}
    assert keras.config.floatx() == layers.Dense(1).compute_dtype == "float32"


def in_precision(dtype: str) -> keras.Model:
    """Two layers on an input, all in one precision."""
    x = keras.Input((4,), name="x", dtype=dtype)
    model = keras.Model(x, layers.Dense(3, dtype=dtype)(layers.Dense(5, "tanh", dtype=dtype)(x)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def test_a_float64_model_computed_in_float32_fails(tmp_path) -> None:
    """Its unit is that of double precision."""
    model = in_precision("float64")
    truth = freeze(model, tmp_path)
    narrow = in_precision("float32")
    (spec,) = truth.signature.outputs
    for case in bundle.read_cases(tmp_path / bundle.SAMPLES, truth):
        if case.case.kind != "random" or case.case.weight is not None:
            continue
        budget = truth.budget(spec.name, case.case.kind)
        single = np.asarray(narrow(case.inputs["x"].astype(np.float32)), np.float64)
        assert not judge_output(spec, case, {spec.name: single}, budget).holds
        assert judge_output(spec, case, {spec.name: np.asarray(model(case.inputs["x"]))}, budget).holds


def test_half_precision_has_its_own_unit_and_finite_budgets(tmp_path) -> None:
    """A thousandth, not a ten millionth; no budget that allows anything."""
    truth = freeze(in_precision("float16"), tmp_path)
    assert truth.no_float64 is None
    assert all(np.isfinite([budget.absolute, budget.relative]).all() for budget in truth.budgets)
    ordinary = truth.budget(truth.signature.outputs[0].name, "random")
    assert 1e-4 < ordinary.noise < 0.1


class Patched(layers.Layer):
    """Tells a number in its config that its `__init__` does not take back."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size
        self.patches = 12 // size
        self.dense = layers.Dense(self.patches)

    def call(self, x):
        """As many numbers as patches."""
        return self.dense(x)

    def get_config(self):
        """More than the class takes."""
        return {**super().get_config(), "size": self.size, "patches": self.patches}


def test_a_config_that_tells_more_than_the_class_takes_has_a_float64_form() -> None:
    """What was worked out is worked out again."""
    x = keras.Input((12,), name="x")
    model = keras.Model(x, Patched(3, name="patched")(x))
    clone = float64_clone(model)
    value = np.random.default_rng(0).normal(size=(2, 12))
    np.testing.assert_allclose(clone(value), model(value), rtol=1e-5, atol=1e-6)
