"""Sets of tf2onnx's that keep an order: it goes through them, and Python's hash seed would decide what it makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from types import ModuleType
from typing import Any
from unittest import mock


def sets_in_order(*modules: ModuleType) -> list[Any]:
    """Patches under which the sets that some modules of tf2onnx make keep the order in which they were filled."""
    return [mock.patch.object(module, "set", _InOrder, create=True) for module in modules]


class _InOrder(MutableSet[Any]):
    """As much of a set as tf2onnx uses."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = dict.fromkeys(items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: Any) -> None:
        self._items[value] = None

    def discard(self, value: Any) -> None:
        self._items.pop(value, None)

    def issubset(self, other: MutableSet[Any]) -> bool:
        return self <= other

    def union(self, other: Iterable[Any]) -> _InOrder:
        return _InOrder([*self._items, *other])

    def intersection(self, other: Iterable[Any]) -> _InOrder:
        return _InOrder(each for each in other if each in self._items)
