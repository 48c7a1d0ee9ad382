"""Calls that rebuilding a model leaves in its layers, taken out again.

Keras notes every symbolic call of a layer in the layer (`Operation._inbound_nodes`). A model that is rebuilt from the
layers of another leaves its calls in them: a user's layer would hold more with each export, for as long as it lives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_noted: ContextVar[list[Any] | None] = ContextVar("noted", default=None)


@contextlib.contextmanager
def calls_forgotten() -> Iterator[None]:
    """Within this block models may be rebuilt and used; afterwards the calls of this thread are taken out again.

    Those are left that another thread's call came behind: Keras finds a call by its place.
    """
    nodes: list[Any] = []
    token = _noted.set(nodes)
    try:
        yield
    finally:
        _noted.reset(token)
        for node in reversed(nodes):
            _take_out(node)


def note(node: Any) -> None:
    """Have a call taken out at the end of the block, if there is one."""
    nodes = _noted.get()
    if nodes is not None:
        nodes.append(node)


def _take_out(node: Any) -> None:
    calls = node.operation._inbound_nodes
    if not calls or calls[-1] is not node:
        return
    calls.pop()
    for parent in node.parent_nodes:
        read_by = parent.operation._outbound_nodes
        if read_by and read_by[-1] is node:
            read_by.pop()
