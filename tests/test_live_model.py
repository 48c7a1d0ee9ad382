"""A model that is served and trained by other threads while it is exported."""

from __future__ import annotations

import dataclasses
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import pipeline
from pipeline import progress

# Fresh biases hide something, so random weights are asked too; the layers have all that a call could leave behind.
QUICK = pipeline.ExportOptions(effort="quick")
ONNX_ALONE = pipeline.ExportOptions(effort="quick", formats=("onnx",))


@keras.saving.register_keras_serializable("tests")
class Counting(layers.Layer):
    """A layer with a compiled function of its own, a loss and a metric."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(8, activation="relu")
        self.seen = keras.metrics.Mean(name="seen")

    def build(self, shape: Any) -> None:
        """The inner layer's weights."""
        self.dense.build(shape)

    @tf.function
    def mixed(self, x: Any) -> Any:
        """Traced once by whoever calls it first, and kept."""
        return self.dense(x) + 1.0

    def call(self, x: Any) -> Any:
        """The mixed input; its mean is a loss and a metric."""
        y = self.mixed(x)
        self.add_loss(0.01 * keras.ops.mean(y))
        self.seen.update_state(y)
        return y


def siamese() -> keras.Model:
    """Two views through one tower, with regularisers, metrics and a normalisation."""
    keras.utils.set_random_seed(3)
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    counting = Counting(name="counting")
    dense = layers.Dense(8, name="trunk", activity_regularizer="l2", kernel_regularizer="l2")
    norm = layers.BatchNormalization()
    drop = layers.Dropout(0.2)

    def tower(x: Any) -> Any:
        return drop(norm(dense(counting(x))))

    return keras.Model([left, right], layers.Dense(1, name="score")(tower(left) - tower(right)), name="siamese")


@contextmanager
def beside(work: Callable[[], None], stage: str = "") -> Iterator[list[BaseException]]:
    """Within this block a thread does the work again and again, from a stage on; what it raises is collected."""
    ended, begun = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def again() -> None:
        begun.wait()
        while not ended.is_set():
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told by the test
                raised.append(error)
                return

    thread = threading.Thread(target=again)
    thread.start()
    try:
        if not stage:
            begun.set()
        with progress.listening(lambda told: begun.set() if told.stage == stage else None):
            yield raised
    finally:
        ended.set()
        begun.set()
        thread.join()


def rows(count: int, seed: int) -> list[np.ndarray]:
    """Inputs of the model."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((count, 6)).astype(np.float32) for _ in range(2)]


def test_a_thread_that_serves_gets_right_answers_all_the_while(tmp_path: Path) -> None:
    """Eagerly and compiled, first traced before the export and while it runs."""
    model = siamese()
    feed = rows(4, 0)
    expected = np.asarray(model(feed, training=False))
    compiled = tf.function(lambda left, right: model([left, right], training=False))
    np.testing.assert_allclose(np.asarray(compiled(*feed)), expected, rtol=1e-5, atol=1e-6)
    wrong: list[float] = []
    answered = 0

    def serve() -> None:
        nonlocal answered
        late = tf.function(lambda left, right: model([left, right], training=False))
        for answer in (model(feed, training=False), compiled(*feed), late(*feed)):
            answered += 1
            wrong.extend(np.abs(np.asarray(answer) - expected)[np.abs(np.asarray(answer) - expected) > 1e-5].tolist())

    with beside(serve) as raised:
        pipeline.export_bundle(model, tmp_path / "bundle", options=QUICK)
    assert raised == []
    assert wrong == []
    assert answered > 10
    np.testing.assert_allclose(np.asarray(model(feed, training=False)), expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_is_trained_meanwhile_is_exported_as_it_was(tmp_path: Path) -> None:
    """The bundle has the weights of the beginning; training loses no step, and no loss, metric or name."""
    model = siamese()
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    feed, target = rows(8, 1), np.ones((8, 1), np.float32)
    model.train_on_batch(feed, target)
    names = [layer.name for layer in model.layers]
    before = [np.array(weight) for weight in model.weights]
    steps: list[dict[str, float]] = []
    started = int(model.optimizer.iterations)

    def train() -> None:
        steps.append(model.train_on_batch(feed, target, return_dict=True))

    with beside(train, "traces") as raised:
        bundle = pipeline.export_bundle(model, tmp_path / "bundle", options=QUICK)
    assert raised == []
    assert len(steps) > 5
    assert int(model.optimizer.iterations) - started == len(steps)
    assert any((np.array(weight) != old).any() for weight, old in zip(model.weights, before, strict=True))
    assert all(np.isfinite(step["loss"]) and {"loss", "mae"} <= set(step) for step in steps)
    assert [layer.name for layer in model.layers] == names
    dense = model.get_layer("trunk")
    assert dense.activity_regularizer is not None
    model(feed, training=True)
    assert len(model.losses) == 5  # of two calls of two layers, and a kernel
    held = {tensor.name: tensor for tensor in stored(tmp_path / "bundle" / "model.onnx")}
    kernel = next(each for each in bundle.manifest.weight_map if each.weight == "score/kernel")
    index = [weight.path for weight in model.weights].index("score/kernel")
    np.testing.assert_array_equal(held[kernel.initializer or ""].numpy(), before[index])
    restored = keras.models.load_model(tmp_path / "bundle" / "model.keras", compile=False)
    assert any(np.array_equal(np.array(each), before[index]) for each in restored.weights)


def stored(path: Path) -> list[Any]:
    """The initializers of an ONNX file."""
    import onnx_ir as ir

    values = ir.load(path).graph.initializers.values()
    return [value.const_value for value in values]


def test_layers_hold_no_more_calls_than_before(tmp_path: Path) -> None:
    """However often the model is exported: the flat model and what else is rebuilt leave none."""
    model = siamese()

    def calls() -> list[tuple[int, int]]:
        return [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model._flatten_layers()]

    before = calls()
    pipeline.export_bundle(
        model, tmp_path / "bundle", options=pipeline.ExportOptions(formats=("onnx",), effort="quick")
    )
    assert calls() == before
    assert model.get_layer("trunk").output is not None


@keras.saving.register_keras_serializable("tests")
class Remembering(layers.Layer):
    """Keeps its last scores, as the attention of TensorFlow's tutorial on transformers does, and all of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(3)
        self.last_scores = None
        self.all_scores = ["none yet"]
        self.by_name = {"none": 0}

    def build(self, shape: Any) -> None:
        """The inner layer's weights."""
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        """A softmax, which is kept in four ways."""
        scores = keras.ops.softmax(self.dense(x))
        self.last_scores = scores
        self.newest = (scores, 1)
        self.all_scores.append(scores)
        self.by_name["last"] = scores
        return scores


def test_what_a_layer_remembers_of_its_last_call_is_the_users_own(tmp_path: Path) -> None:
    """Not a tensor of a graph of ours, nor the scores of inputs that we drew."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    remembering = Remembering(name="remembering")
    model = keras.Model([left, right], layers.Dense(1)(remembering(left) - remembering(right)))
    model(rows(2, 0))
    before = (remembering.last_scores, remembering.newest, list(remembering.all_scores), dict(remembering.by_name))
    pipeline.export_bundle(model, tmp_path / "bundle", options=QUICK)
    after = (remembering.last_scores, remembering.newest, list(remembering.all_scores), dict(remembering.by_name))
    assert [id(each) for each in before[2]] == [id(each) for each in after[2]]
    assert before[0] is after[0]
    assert before[1] is after[1]
    assert before[3].keys() == after[3].keys()
    assert before[3]["last"] is after[3]["last"]


def test_what_a_layer_remembers_is_at_no_moment_ours(tmp_path: Path) -> None:
    """Who calls a layer and reads what it keeps reads of its own call, and what it has set last stays."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    remembering = Remembering(name="remembering")
    model = keras.Model([left, right], layers.Dense(1)(remembering(left) - remembering(right)))
    wrong: list[str] = []
    last: list[Any] = []

    def read() -> None:
        model(rows(2, 0))
        last[:] = [remembering.last_scores, remembering.newest[0], remembering.by_name["last"]]
        wrong.extend(type(each).__name__ for each in last if each is not last[0] or not hasattr(each, "numpy"))

    with beside(read) as raised:
        pipeline.export_bundle(model, tmp_path / "bundle", options=ONNX_ALONE)
    assert raised == []
    assert wrong == []
    assert remembering.last_scores is last[0]


def test_a_loop_that_adds_up_losses_finds_all_of_them(tmp_path: Path) -> None:
    """Keras clears the losses of layers that are called, and a call of ours must not be one of those."""
    model = siamese()
    feed = rows(4, 0)
    counted: set[int] = set()

    def step() -> None:
        model(feed, training=False)
        counted.add(len(model.losses))

    step()
    with beside(step) as raised:
        pipeline.export_bundle(model, tmp_path / "bundle", options=ONNX_ALONE)
    assert raised == []
    assert counted == {5}


class OfOneLayer(keras.Model):
    """A model without a graph, whose layer has a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3, activity_regularizer="l2")
        self.calls = 0

    def call(self, x: Any) -> Any:
        """The layer's answer."""
        self.calls += 1
        return self.dense(x)


@pytest.mark.matrix
def test_an_export_leaves_no_trace_in_an_idle_model_or_process(tmp_path: Path) -> None:
    """Losses, counters, nodes and flags of every layer, numbers of Python's `random` and the environment."""
    signed = dataclasses.replace(QUICK, input_signature={"x": (None, 6)})
    for model, feed, options in ((siamese(), rows(2, 0), QUICK), (OfOneLayer(), rows(2, 0)[0], signed)):
        model(feed, training=True)

        def state(model: keras.Model = model) -> list[dict[str, Any]]:
            return [
                {name: list(value) if isinstance(value, list) else value for name, value in vars(layer).items()}
                for layer in model._flatten_layers()
            ]

        before = (state(), random.getstate(), dict(os.environ))
        losses = [id(each) for layer in model._flatten_layers() for each in layer._losses]
        pipeline.export_bundle(model, tmp_path / "bundle", options=options)
        for layer, old, new in zip(model._flatten_layers(), before[0], state(), strict=True):
            assert old.keys() == new.keys(), layer.name
            assert [name for name in old if not _is_same(old[name], new[name])] == [], layer.name
        assert [id(each) for layer in model._flatten_layers() for each in layer._losses] == losses
        assert random.getstate() == before[1]
        assert dict(os.environ) == before[2]


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(old, list):
        return [id(each) for each in old] == [id(each) for each in new]
    return old is new or (isinstance(old, int | float | str) and old == new)
