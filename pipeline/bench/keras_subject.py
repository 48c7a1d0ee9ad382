"""Inference and training steps by Keras' compiled function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.quiet import load_tensorflow

load_tensorflow()  # before the next line would write its start-up notes

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import tree  # noqa: E402

from pipeline.bench.subjects import INPUT_SEED, Work, artifact_of, feed_of, work_of  # noqa: E402
from pipeline.bench.tensorflow_device import blocking, device_of, require_device  # noqa: E402
from pipeline.bundle import read_manifest  # noqa: E402
from pipeline.cases import free_axes  # noqa: E402
from pipeline.graph.call import name_outputs  # noqa: E402
from pipeline.models import registry  # noqa: E402
from pipeline.models.keras_file import load_keras_file  # noqa: E402
from pipeline.models.reference import resolve  # noqa: E402
from pipeline.models.task import Arrays, FitPlan, Task  # noqa: E402
from pipeline.records import Signature, Subject  # noqa: E402
from pipeline.training.named import packed_inputs  # noqa: E402
from pipeline.training.step_tensorflow import compiled_training_step  # noqa: E402

# What a model without a plan is trained by here: any loss and optimiser do for timing, none for learning.
_STAND_IN = FitPlan(loss="mean_squared_error", optimizer=lambda steps: keras.optimizers.Adam(1e-3))


@dataclass(frozen=True)
class _Lesson:
    """What a training step is made on: a plan, one batch, and what a reader of its figures must know.

    `sizes` are those of the batch's free axes where the task's own samples have others than were asked for.
    """

    plan: FitPlan
    arrays: Arrays
    note: str = ""
    sizes: dict[str, int] | None = None


def open_subject(subject: Subject) -> Callable[[], Work]:
    """The compiled function or the compiled training step of `model.keras`; loaded when the result is called.

    Raises:
        BadInput: if a GPU is asked for and there is none, or the model or its task can't be loaded.
    """
    with tf.device(require_device(subject)):
        tf.constant(0)  # wakes the device, which is no subject's own cost
    if subject.work == "inference":
        _register_custom_layers(subject)
        return functools.partial(_open_inference, subject, feed_of(subject))
    return functools.partial(_open_training_step, subject, _lesson(subject))


def _open_inference(subject: Subject, feed: dict[str, np.ndarray]) -> Work:
    with tf.device(require_device(subject)):
        model = _model(artifact_of(subject))
        inputs = tree.map_structure(tf.constant, packed_inputs(model, feed))
    # The inputs are arguments: a small constant that is captured would be folded into the graph.
    compiled = tf.function(lambda given: model(given, training=False))

    def call() -> object:
        return compiled(inputs)

    return work_of(subject, blocking(call, subject), _variables_device(model, subject))


def _open_training_step(subject: Subject, lesson: _Lesson) -> Work:
    with tf.device(require_device(subject)):
        model = load_keras_file(artifact_of(subject))  # one of its own: a step changes its weights
        name_outputs(model, [spec.name for spec in _signature(subject).outputs])  # which the file of a twin has lost
        step = compiled_training_step(model, lesson.plan, lesson.arrays)
    return work_of(subject, blocking(step, subject), _variables_device(model, subject), lesson.note, lesson.sizes)


@functools.cache  # the batch sizes of an inference share one model, as they do where it is served
def _model(path: Path) -> keras.Model:
    return load_keras_file(path)


def _register_custom_layers(subject: Subject) -> None:
    """Import the user's own module, whose custom layers the file may hold; ours have none."""
    if subject.reference is not None and subject.reference not in registry.names():
        _task(subject.reference, subject.imports)


def _lesson(subject: Subject) -> _Lesson:
    """What one step of a subject is made on: its task's plan and samples, or stand-ins for what the task lacks."""
    task = None if subject.reference is None else _task(subject.reference, subject.imports)
    if task is None or task.fit is None:
        note = "no fit in the task: mean squared error and Adam on random targets stand in"
        return _Lesson(_STAND_IN, _random_samples(subject), note)
    samples = None if subject.reference is None else _training_samples(subject.reference, subject.imports)
    if samples is None:
        return _Lesson(task.fit, _random_samples(subject), "no data in the task: random inputs and targets stand in")
    batch = samples.take(np.arange(subject.batch) % len(samples))
    sizes = _sizes(batch, _signature(subject))
    if sizes == subject.sizes:
        return _Lesson(task.fit, batch)
    note = f"on the task's own samples, {', '.join(f'{axis} {size}' for axis, size in sizes.items())}"
    return _Lesson(task.fit, batch, note, sizes)


def _sizes(arrays: Arrays, signature: Signature) -> dict[str, int]:
    """The sizes of free axes that samples have."""
    free = free_axes(signature)
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        shape = arrays.inputs[spec.name].shape if spec.name in arrays.inputs else ()
        sizes |= {axis: size for axis, size in zip(spec.shape, shape, strict=False) if axis in free}
    return sizes


@functools.cache
def _task(reference: str, imports: tuple[str, ...]) -> Task:
    return resolve(reference, imports=imports).task


@functools.cache
def _training_samples(reference: str, imports: tuple[str, ...]) -> Arrays | None:
    """The training samples of a task, of its first epoch where each draws afresh; None for a task without data."""
    data = _task(reference, imports).data
    if data is None:
        return None
    training = data()[0]
    return training if isinstance(training, Arrays) else training(0)


def _random_samples(subject: Subject) -> Arrays:
    """Inputs as an inference gets them; targets uniform in [0, 1), with the shapes of the model's outputs."""
    model = load_keras_file(artifact_of(subject))
    rng = np.random.default_rng((INPUT_SEED, subject.batch))
    feed = feed_of(subject)
    answers = tree.flatten(model(packed_inputs(model, feed), training=False))
    names = [spec.name for spec in _signature(subject).outputs]
    return Arrays(feed, {n: rng.random(a.shape).astype("float32") for n, a in zip(names, answers, strict=True)})


def _signature(subject: Subject) -> Signature:
    return read_manifest(Path(subject.path)).signature


def _variables_device(model: keras.Model, subject: Subject) -> str:
    """The device that holds the weights, which is where the work on them is done."""
    if not model.variables:
        return subject.device
    return device_of(model.variables[0].value)
