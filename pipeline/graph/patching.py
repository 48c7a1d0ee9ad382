"""Functions and attributes of Keras and TensorFlow replaced for a while, in this thread."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

# Held while something is replaced: two threads that replace and put back by turns would leave a replacement where the
# original was.
ONE_THREAD = threading.RLock()


@contextlib.contextmanager
def replaced(owner: Any, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, `owner.name` is `replacement` for this thread, and what it was for every other.

    Another thread that wants to replace something waits.
    """
    with ONE_THREAD:
        original = getattr(owner, name)
        mine = threading.get_ident()

        @functools.wraps(original)  # Keras reads the arguments that a layer takes off the signature of its `call`
        def dispatch(*args: Any, **kwargs: Any) -> Any:
            return (replacement if threading.get_ident() == mine else original)(*args, **kwargs)

        with mock.patch.object(owner, name, dispatch):
            yield


@contextlib.contextmanager
def seen_as(owner: type, name: str, value: Any) -> Iterator[None]:
    """While it lasts, the attribute `name` of every object of the class `owner` reads as `value` in this thread.

    The objects keep what they have: other threads read and write that, and so does everybody afterwards.

    Args:
        owner: a class that has no such attribute itself; its objects have.
        name: of the attribute.
        value: what this thread reads.
    """
    with ONE_THREAD, mock.patch.object(owner, name, _SeenAs(name, value, threading.get_ident()), create=True):
        yield


class _SeenAs:
    """A descriptor before what an object holds: it shows one thread a value, and every other what the object has."""

    def __init__(self, name: str, value: Any, thread: int) -> None:
        self._name, self._value, self._thread = name, value, thread

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        if threading.get_ident() == self._thread:
            return self._value
        try:
            return vars(instance)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        del vars(instance)[self._name]
