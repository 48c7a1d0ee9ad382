"""What a user's own code raises is told as the user's: the file that it could not open, and where it tried to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from pipeline import cli
from pipeline.errors import one_line, place_in_users_code, told

MODELS = """
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers
    from pipeline import Arrays, FitPlan, Task

    class Reading(layers.Layer):
        def call(self, x):
            return x + len(open("missing.txt").read())

        def compute_output_shape(self, shape):  # so that Keras does not run it while the model is built
            return shape

    class Piping(Reading):
        def call(self, x):
            raise BrokenPipeError(32, "Broken pipe")

    class Calling(Reading):
        def call(self, x):
            return tf.ensure_shape(tf.numpy_function(np.tanh, [x], "float32"), x.shape)

    class Choosing(Reading):
        def call(self, x):
            return tf.boolean_mask(x, x[:, 0] >= tf.reduce_mean(x[:, 0]))

    def model(layer):
        x = keras.Input((2,), name="x")
        dense = layers.Dense(2, name="dense")
        return keras.Model(x, layers.Dense(1, name="y")(layer(dense(dense(x)))))

    def plain():
        return model(layers.Activation("tanh"))

    def opened(*arguments):
        return open("missing.txt")

    def data():
        inputs, targets = {"x": np.ones((8, 2), "float32")}, {"y": np.ones((8, 1), "float32")}
        return Arrays(inputs, targets), Arrays(inputs, targets)

    def score(predict, held_out):
        return float(predict(held_out.inputs)["y"].shape[1])

    def plan(loss="mse"):
        return FitPlan(loss=loss, optimizer=lambda steps: keras.optimizers.SGD(0.1), max_epochs=1)

    def builder():
        return opened()

    def call():
        return model(Reading())

    def pipe():
        return model(Piping())

    def python():
        return model(Calling(name="python"))

    def mask():
        return model(Choosing(name="choosing"))

    def of_data():
        return Task(plain, data=opened, fit=plan(), metric=score)

    def of_metric():
        return Task(plain, data=data, fit=plan(), metric=opened)

    def of_layer():
        return Task(call, data=data, fit=plan(), metric=score)

    def of_loss():
        return Task(plain, data=data, fit=plan(opened), metric=score)

    def of_epochs():
        return Task(plain, data=lambda: (opened, data()[1]), fit=plan(), metric=score)
"""
MISSING = "FileNotFoundError: [Errno 2] No such file or directory: 'missing.txt'"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working folder with one module of the user's own."""
    (tmp_path / "theirs.py").write_text(dedent(MODELS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failed(*arguments: str) -> str:
    """What the command says on stderr, in a process of its own; it ends with 2."""
    done = subprocess.run([sys.executable, "-m", "pipeline", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "can't write" not in done.stderr
    return done.stderr


@pytest.mark.matrix
def test_an_export_tells_whose_file_is_missing(folder) -> None:
    """A line for each model; nothing is published, and no folder is left."""
    names = ("builder", "call", "of_data", "of_metric", "of_layer")
    said = failed("export", *(f"theirs.py:{name}" for name in names), "--formats", "onnx")
    assert f"error: theirs.py:builder: the builder theirs.py:builder raised {MISSING} (theirs.py, line " in said
    assert (
        f"error: theirs.py:call: the code of model 'functional' raised {MISSING} (theirs.py, line 10, in call)" in said
    )
    assert f"raised {MISSING} (theirs.py, line 10, in call)" in said.partition("theirs.py:of_layer")[2]
    for name in ("data", "metric"):
        assert f"error: theirs.py:of_{name}: the {name} of " in said
    assert said.count(MISSING) == len(names)
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["theirs.py"]


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["of_metric", "of_layer", "of_loss", "of_epochs"])
def test_training_tells_whose_file_is_missing(folder, name: str) -> None:
    """Whatever of the user's runs in it."""
    said = failed("train", f"theirs.py:{name}")
    assert f"raised {MISSING} (theirs.py, line " in said


@pytest.mark.matrix
def test_what_no_artifact_can_do_is_refused_at_its_call_site(folder) -> None:
    """With a way out, before anything is converted; a reference stays as it was typed."""
    said = failed("export", "theirs.py:python", "theirs.py:mask", "--formats", "onnx")
    assert (
        "error: theirs.py:python: layer 'python' (Calling) at call site 'python' runs Python code (tf.numpy_f" in said
    )
    assert "write it with keras.ops" in said
    assert "error: theirs.py:mask: " in said
    assert (
        "layer 'choosing' (Choosing) at call site 'choosing' gives a result whose size the numbers fed decide" in said
    )
    assert "keras.ops.where(mask, x, 0)" in said


def test_a_broken_pipe_of_the_users_is_no_success(capsys, folder) -> None:
    """It is not the reader of our output that has gone."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", "theirs.py:pipe", "--formats", "onnx"])
    assert stop.value.code == 2
    assert "raised BrokenPipeError: [Errno 32] Broken pipe (theirs.py, line " in capsys.readouterr().err


def test_what_keras_wraps_keeps_its_file(folder, monkeypatch) -> None:
    """Of an `OSError` Keras tells the number alone."""
    monkeypatch.syspath_prepend(folder)
    import theirs

    with pytest.raises(FileNotFoundError) as caught:
        theirs.call()(np.ones((1, 2), "float32"))
    assert told(caught.value) == "[Errno 2] No such file or directory: 'missing.txt'"
    assert "'missing.txt' Arguments received by" in one_line(caught.value)
    assert place_in_users_code(caught.value) is not None


def test_code_of_libraries_is_not_the_users() -> None:
    """Whoever wrote the line that fails first has called it: here that is numpy."""
    try:
        np.load("missing.npy")
    except FileNotFoundError as error:
        inner = error.with_traceback(error.__traceback__.tb_next)
    assert place_in_users_code(inner) is None
