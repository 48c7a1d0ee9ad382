"""What a task's held-out data decide before a bundle is published."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pipeline import ExportOptions, export_bundle, publish
from pipeline.errors import BadInput, CheckFailed
from pipeline.models.task import Arrays, Task
from pipeline.oracle import asked as asking_model
from pipeline.oracle import asking
from pipeline.oracle.held_out import batches_of
from pipeline.publish import Labels, _with_metric


@keras.saving.register_keras_serializable("tests")
class Wide(layers.Layer):
    """Takes some megabytes of working memory for each row of four numbers."""

    def call(self, x):
        """The mean over many copies."""
        spread = ops.reshape(x, (-1, 1, 4)) * ops.ones((1, 500_000, 1))
        return ops.mean(ops.sqrt(ops.abs(spread) + 1.0), axis=1)


def largest(predict, held_out: Arrays) -> float:
    """Of all answers."""
    (answers,) = predict(held_out.inputs).values()
    assert len(answers) == len(held_out)
    return float(np.max(answers))


def task_of(rows: int) -> Task:
    """Held-out rows of four numbers each, the last of them large."""
    x = np.ones((rows, 4), np.float32)
    x[-1] = 24.0
    return Task(build=lambda: None, data=lambda: (Arrays({"x": x}), Arrays({"x": x})), metric=largest)


def test_held_out_rows_go_through_as_memory_allows(monkeypatch) -> None:
    """All of them at once would take more than this process may have."""
    for module in (asking_model, asking):
        monkeypatch.setattr(module, "free_memory", lambda: 3 * 2**29)
    x = keras.Input((4,), name="x")
    with asking_model.Asked(keras.Model(x, Wide()(x))) as asked:
        metric = _with_metric(Labels("wide", "shared", None), asked, task_of(160)).metric
    assert metric is not None
    assert metric.value == pytest.approx(5.0, rel=1e-3)


def test_rows_are_counted_by_the_longest_there_are() -> None:
    """Ten thousand steps take more than ten, however many features there are; a static batch is what it is."""
    x = keras.Input((None, 250), name="x")
    with asking_model.Asked(keras.Model(x, layers.Conv1D(64, 3, padding="same")(x))) as asked:
        short, long = (batches_of(asked, Arrays({"x": np.zeros((2, steps, 250))})) for steps in (10, 10_000))
    assert short.rows == 256
    assert 1 <= long.rows < 100
    assert long.limits.seconds > short.limits.seconds > 120
    fixed = keras.Input(batch_shape=(512, 4), name="x")
    with asking_model.Asked(keras.Model(fixed, layers.Dense(2)(fixed))) as asked:
        batches = batches_of(asked, Arrays({"x": np.zeros((300, 4))}))
    assert (batches.rows, batches.is_static) == (512, True)


@pytest.mark.parametrize("formats", [("onnx",), ("saved_model",), ("keras",)])
def test_a_figure_that_is_no_number_is_not_published_in_any_format(tmp_path, formats) -> None:
    """With a bar or without; before anything is converted."""
    x = keras.Input((4,), name="x")
    task = replace(task_of(3), metric=lambda predict, held_out: math.nan)
    options = ExportOptions(formats=formats, effort="quick")
    with pytest.raises(CheckFailed, match=r"m is not published: its held-out .* is not a number"):
        export_bundle(keras.Model(x, layers.Dense(2)(x)), tmp_path / "m", name="m", task=task, options=options)
    assert list(tmp_path.iterdir()) == []


def wrong_at(path: Path, row: float) -> None:
    """A SavedModel that answers as the one that lies there, but to rows that begin with a number."""
    loaded = tf.saved_model.load(str(path))
    right = loaded.signatures["serving_default"]

    @tf.function(autograph=False)
    def serve(x):
        return {name: tf.where(x[:, :1] == row, value + 1.0, value) for name, value in right(x=x).items()}

    loaded.serve = serve.get_concrete_function(tf.TensorSpec((None, 4), tf.float32, name="x"))
    tf.saved_model.save(loaded, str(path.with_name("other")), signatures=loaded.serve)
    shutil.rmtree(path)
    path.with_name("other").rename(path)


def test_a_saved_model_is_judged_on_real_rows_too(tmp_path, monkeypatch) -> None:
    """Where there is no ONNX file as well; drawn rows do not show what is wrong with this one."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,), name="x")
    write = publish.write_artifacts

    def with_fault(model, signature, feed, options, folder, snapshot, **how):
        written = write(model, signature, feed, options, folder, snapshot, **how)
        wrong_at(folder / "saved_model", 7.25)
        return written

    monkeypatch.setattr(publish, "write_artifacts", with_fault)
    samples = {"x": np.full((3, 4), 7.25, np.float32)}
    options = ExportOptions(formats=("saved_model",), effort="quick", samples=samples)
    with pytest.raises(CheckFailed, match=r"m is not published: saved_model output 'y' within budget: .* case real"):
        export_bundle(keras.Model(x, layers.Dense(2, name="y")(x)), tmp_path / "m", name="m", options=options)


def test_real_rows_that_no_artifact_is_run_on_are_told(tmp_path, monkeypatch) -> None:
    """A `.keras` file is tried on drawn ones."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,), name="x")
    options = ExportOptions(formats=("keras",), effort="quick", samples={"x": np.ones((3, 4), np.float32)})
    truth = export_bundle(keras.Model(x, layers.Dense(2)(x)), tmp_path / "m", options=options).manifest.truth
    assert not any("real rows" in note for note in truth.notes)
    assert "real rows: no artifact is there that is run on them" in truth.not_judged


def test_held_out_data_that_lack_an_input_are_one_line() -> None:
    """With the inputs that there are."""
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    with (
        asking_model.Asked(keras.Model([x, y], x + y)) as asked,
        pytest.raises(BadInput, match="the task's held-out data hold no 'y': its model's inputs are x, y"),
    ):
        _with_metric(Labels("sum", "shared", None), asked, task_of(3))
