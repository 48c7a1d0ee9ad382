"""Functions of Keras and TensorFlow replaced for a while, in this thread."""

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
