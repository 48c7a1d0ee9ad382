"""Loading TensorFlow without its start-up notes.

TensorFlow 2.21 writes them to file descriptor 2 before its own logging can be told to be quiet, at import and when it
first looks for devices. What it writes later, and an import that fails, is shown.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec

from pipeline.deferred import SKLEARN_WRAPPERS, deferred
from pipeline.errors import BadInput
from pipeline.version import WHEEL


def load_tensorflow_alone() -> None:
    """`load_tensorflow` without Keras, for a process that runs saved functions: that takes a third less.

    TensorFlow imports Keras to have its optimizers known, and Keras scikit-learn, where that is installed, for its
    wrappers. Whoever asks for Keras later gets it.
    """
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        load_tensorflow()
        return
    sys.modules["keras"] = None  # type: ignore[assignment] # the import system's word for what can't be imported
    try:
        load_tensorflow()
    finally:
        del sys.modules["keras"]


def load_tensorflow() -> None:
    """Import TensorFlow and let it find its devices; quietly, unless TF_CPP_MIN_LOG_LEVEL is 0: show everything.

    Raises:
        BadInput: if it is not installed, as where bundles are only run, or Keras has another backend.
    """
    _refuse_other_backends()
    if "tensorflow" in sys.modules:
        return
    if find_spec("tensorflow") is None:
        raise BadInput(f"TensorFlow is needed for this and is not installed: pip install '{WHEEL}[train]'")
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        with deferred(SKLEARN_WRAPPERS), _left_alone_by_the_collector():
            import tensorflow

        return
    with _errors_held_back(), _left_alone_by_the_collector(), deferred(SKLEARN_WRAPPERS):
        import tensorflow

        tensorflow.constant(0)
    tensorflow.get_logger().setLevel("ERROR")


def _refuse_other_backends() -> None:
    """Keras has one backend for the life of a process: that of the environment, or the one it was imported with."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        backend = keras.config.backend()
    else:
        backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise BadInput(
            f"Keras runs on {backend!r} here, and this needs TensorFlow: save the model as a .keras file and give that "
            "with KERAS_BACKEND=tensorflow"
        )


@contextlib.contextmanager
def _left_alone_by_the_collector() -> Iterator[None]:
    """Have the garbage collector leave out what the block loads, now and from then on.

    Modules are no garbage, and to look through TensorFlow's again and again took a third of a small export's time. What
    was garbage before the block is collected first: what is frozen never is.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _errors_held_back() -> Iterator[None]:
    """Keep what is written to file descriptor 2; give it out only if the block fails."""
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(visible, held.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)
