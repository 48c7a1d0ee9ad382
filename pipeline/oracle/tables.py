"""The lookup tables that a traced function reads: TensorFlow saves them only if it is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras


def tables_read(models: Iterable[keras.Model], graphs: Iterable[Any]) -> tuple[Any, ...]:
    """The tables that layers of the models hold and the traced graphs read, each once."""
    captured = {id(outer) for graph in graphs for outer, _ in graph.captures}
    held = (value for model in models for layer in model._flatten_layers() for value in vars(layer).values())
    tables = (value for value in held if id(getattr(value, "resource_handle", None)) in captured)
    return tuple({id(table): table for table in tables}.values())
