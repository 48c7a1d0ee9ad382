"""Inference by a SavedModel's serving signature."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.quiet import load_tensorflow

load_tensorflow()  # before the next line would write its start-up notes

import tensorflow as tf  # noqa: E402

from pipeline.bench.subjects import Work, artifact_of, feed_of, work_of  # noqa: E402
from pipeline.bench.tensorflow_device import blocking, device_of, require_device  # noqa: E402
from pipeline.records import Subject  # noqa: E402


def open_subject(subject: Subject) -> Callable[[], Work]:
    """The signature `serving_default` on constant inputs; loaded when the result is called.

    Raises:
        BadInput: if a GPU is asked for and there is none, or the bundle can't be read.
    """
    with tf.device(require_device(subject)):
        feed = {name: tf.constant(array) for name, array in feed_of(subject).items()}
    return functools.partial(_open, subject, feed)


def _open(subject: Subject, feed: dict[str, tf.Tensor]) -> Work:
    with tf.device(require_device(subject)):
        loaded = _load(artifact_of(subject))
    serve = loaded.signatures[tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
    device = device_of(serve.variables[0]) if serve.variables else subject.device

    def call() -> object:
        return serve(**feed)

    return work_of(subject, blocking(call, subject), device)


@functools.cache  # its batch sizes share one model, as where it is served; and its weights live as long as it is held
def _load(path: Path) -> Any:
    return tf.saved_model.load(str(path))
