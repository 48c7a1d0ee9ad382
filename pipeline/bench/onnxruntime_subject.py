"""Inference by onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

from pipeline.bench.subjects import Work, artifact_of, feed_of, work_of
from pipeline.errors import BadInput
from pipeline.records import Subject

_PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}

# onnxruntime's exceptions have no base of their own but Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)


def open_subject(subject: Subject) -> Callable[[], Work]:
    """A session on arrays in host memory, loaded when the result is called.

    On a GPU the copies to and from it are part of the time.

    Raises:
        BadInput: if the provider for the subject's device is not the one that runs, or the file can't be loaded.
    """
    return functools.partial(_open, subject, feed_of(subject))


def _open(subject: Subject, feed: dict[str, np.ndarray]) -> Work:
    loaded = session(artifact_of(subject), subject.device)
    return work_of(subject, lambda: loaded.run(None, feed), loaded.get_providers()[0])


@functools.cache  # its batch sizes share one session, as they do where it is served
def session(path: Path, device: str) -> onnxruntime.InferenceSession:
    """A file loaded as every measured one is.

    Raises:
        BadInput: if the provider for the device (`cpu`, `gpu`) is not the one that runs, or the file can't be loaded.
    """
    provider = _PROVIDERS[device]
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise BadInput(
            f"no {provider}: this onnxruntime {onnxruntime.__version__} has {', '.join(available)}; use the "
            "environment of `make bench DEVICE=gpu` (shared-layers doctor shows what is installed)"
        )
    if provider == _PROVIDERS["gpu"]:
        onnxruntime.preload_dlls()  # CUDA's libraries from the nvidia-* distributions, which no loader path names
    try:
        loaded = onnxruntime.InferenceSession(str(path), _options(), providers=[provider])
    except _RUNTIME_ERRORS as error:
        raise BadInput(f"onnxruntime can't load {path}: {' '.join(str(error).split())}") from error
    # A provider may be listed and still fail to start (no driver): onnxruntime then falls back with only a log line.
    used = loaded.get_providers()[0]
    if used != provider:
        raise BadInput(f"{provider} could not be started, onnxruntime chose {used}: check the driver and its CUDA")
    return loaded


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Several sessions live in one worker: the spinning threads of one would take the cores from the next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
