"""Being told which operation of a functional model runs, and with what result.

Keras has no public hook around the calls that running a graph makes. This module and `read.py` are the places that
know its inside: `keras.src.models.functional.operation_fn` wraps every call of `Function._run_through_graph`, and
activations look their function up in `keras.src.backend` when they are called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from keras.src import backend
from keras.src.models import functional

from pipeline.graph.patching import replaced


@contextlib.contextmanager
def around_calls(enter: Callable[[Any], AbstractContextManager[Any]]) -> Iterator[None]:
    """While it lasts, running a functional model runs each operation inside `enter(operation)`."""

    def inside(operation: Any, call: Callable[[], Any]) -> Any:
        with enter(operation):
            return call()

    with _each_call(inside):
        yield


@contextlib.contextmanager
def with_results(see: Callable[[Any, Any], None]) -> Iterator[None]:
    """While it lasts, running a functional model tells `see(operation, result)` what each operation gave."""

    def seen(operation: Any, call: Callable[[], Any]) -> Any:
        result = call()
        see(operation, result)
        return result

    with _each_call(seen):
        yield


@contextlib.contextmanager
def changed_results(change: Callable[[Any, Any], Any]) -> Iterator[None]:
    """While it lasts, running a functional model hands on `change(operation, result)` of each operation's result."""
    with _each_call(lambda operation, call: change(operation, call())):
        yield


@contextlib.contextmanager
def changed_gates(change: Callable[[Any], Any]) -> Iterator[None]:
    """While it lasts, every sigmoid and tanh gives `change(result)`: those inside recurrent cells too, step by step."""
    sigmoid, tanh = backend.nn.sigmoid, backend.numpy.tanh
    with (
        replaced(backend.nn, "sigmoid", lambda x: change(sigmoid(x))),
        replaced(backend.numpy, "tanh", lambda x: change(tanh(x))),
    ):
        yield


@contextlib.contextmanager
def _each_call(run: Callable[[Any, Callable[[], Any]], Any]) -> Iterator[None]:
    wrapped = functional.operation_fn

    def operation_fn(operation: Any, *args: Any, **kwargs: Any) -> Any:
        call = wrapped(operation, *args, **kwargs)

        def ran(*inputs: Any, **arguments: Any) -> Any:
            return run(operation, lambda: call(*inputs, **arguments))

        return ran

    with replaced(functional, "operation_fn", operation_fn):
        yield
