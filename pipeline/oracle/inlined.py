"""Functions that a user's layers compile by themselves, traced as plain Python.

A layer may bear `@tf.function`. Such a function keeps what it traced for its next caller. Traced inside a graph of ours
it would keep tensors of that graph, or copies of weights, and hand them to whoever serves the model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.core.ag_ctx import ControlStatusCtx, Status
from tensorflow.python.eager.polymorphic_function import polymorphic_function
from tensorflow.python.eager.polymorphic_function.autograph_util import py_func_from_autograph

from pipeline.graph.patching import replaced

_KEPT = ("keras", "tensorflow")  # whose own functions read no weights of a layer


@contextlib.contextmanager
def inlined_functions() -> Iterator[None]:
    """Within this block a `tf.function` of a user's runs its Python code where this thread calls it in a graph."""
    call = polymorphic_function.Function.__call__

    def inlined(function: Any, *args: Any, **kwargs: Any) -> Any:
        python = function.python_function
        if tf.executing_eagerly() or not _is_own(function):
            return call(function, *args, **kwargs)
        if not function._autograph:
            return python(*args, **kwargs)
        converted = py_func_from_autograph(python, function._experimental_autograph_options)
        with ControlStatusCtx(Status.UNSPECIFIED):  # what we trace ourselves is traced without AutoGraph
            return converted(*args, **kwargs)

    with replaced(polymorphic_function.Function, "__call__", inlined):
        yield


class CompiledByItself(Exception):
    """A function of a user's was called, which reads the weights that it was traced with."""


@contextlib.contextmanager
def own_functions_refused() -> Iterator[None]:
    """Within this block a `tf.function` of a user's that this thread calls outside of a graph raises.

    What it traced before reads the model's own weights, whatever is to be read in their place.

    Raises:
        CompiledByItself: if one is called.
    """
    call = polymorphic_function.Function.__call__

    def refused(function: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.executing_eagerly() and _is_own(function):
            raise CompiledByItself
        return call(function, *args, **kwargs)

    with replaced(polymorphic_function.Function, "__call__", refused):
        yield


def _is_own(function: Any) -> bool:
    """Whether it is a user's."""
    return (getattr(function.python_function, "__module__", None) or "").split(".")[0] not in _KEPT
