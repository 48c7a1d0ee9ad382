"""What is replaced is replaced for one thread, and put back."""

from __future__ import annotations

import inspect
import threading
from types import SimpleNamespace

import pytest

from pipeline.graph.patching import replaced


def owner() -> SimpleNamespace:
    """Something with a function."""

    def call(self_: object, inputs: int, mask: int | None = None) -> str:
        return f"original {inputs}"

    return SimpleNamespace(call=call)


def in_another_thread(function) -> object:
    """What a function gives in a thread of its own."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(timeout=10)
    return found[0]


def test_this_thread_gets_the_replacement_and_another_the_original() -> None:
    """Somebody may be serving a model while another thread exports."""
    it = owner()
    with replaced(it, "call", lambda *_: "replaced"):
        assert it.call(None, 1) == "replaced"
        assert in_another_thread(lambda: it.call(None, 1)) == "original 1"
    assert it.call(None, 1) == "original 1"


def test_the_signature_stays() -> None:
    """Keras reads it when a layer is made."""
    it = owner()
    before = inspect.signature(it.call)
    with replaced(it, "call", lambda *_: "replaced"):
        assert inspect.signature(it.call) == before


def test_it_is_put_back_when_something_raises() -> None:
    """In reverse order."""
    it = owner()
    original = it.call

    def fails() -> None:
        with replaced(it, "call", lambda *_: "one"), replaced(it, "call", lambda *_: "two"):
            assert it.call(None, 1) == "two"
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert it.call is original


def test_a_second_thread_waits_until_the_first_has_put_back() -> None:
    """Or it would take a replacement for the original, and leave it behind."""
    it = owner()
    original = it.call
    entered, order = threading.Event(), []

    def second() -> None:
        entered.wait(timeout=10)
        with replaced(it, "call", lambda *_: "second"):
            order.append(it.call(None, 1))

    thread = threading.Thread(target=second)
    thread.start()
    with replaced(it, "call", lambda *_: "first"):
        entered.set()
        thread.join(timeout=0.2)
        order.append(it.call(None, 1))
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert it.call is original
