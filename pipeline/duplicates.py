"""Tensors of an ONNX file that hold again what another one holds."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from pipeline.errors import BadInput, one_line
from pipeline.records import WEIGHT_MAP_KEY, Duplicate

# Shapes, axes and other arguments of operators, which any exporter writes as often as it needs them.
_ARGUMENTS = frozenset({TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING})
# A tensor of more axes is compared as it lies, not under every permutation.
_MOST_AXES = 6


def find_duplicates(model: ModelProto, tensors: Iterable[TensorProto], folder: Path) -> tuple[Duplicate, ...]:
    """Those of a model's stored tensors whose elements another one holds too: in its order, or transposed.

    Tensors of one value (a bias of zeros) and the arguments of operators (vectors of integers) don't count. Nor do two
    tensors that the file's own weight map calls different weights: they happen to be equal. External data lies in
    `folder`. The largest come first.

    Raises:
        BadInput: if external data can't be read, or lies outside of `folder`.
    """
    groups: dict[tuple[int, int], list[TensorProto]] = {}
    for tensor in tensors:
        if not _counts(tensor):
            continue
        groups.setdefault((tensor.data_type, math.prod(tensor.dims)), []).append(tensor)
    weights = _mapped_weights(model)
    found = [
        duplicate
        for tensors in groups.values()
        if len(tensors) > 1
        for duplicate in _in_group(tensors, folder, weights)
    ]
    return tuple(sorted(found, key=lambda each: (-each.size, each.name)))


def _counts(tensor: TensorProto) -> bool:
    is_argument = tensor.data_type in _ARGUMENTS and len(tensor.dims) < 2
    return math.prod(tensor.dims) > 1 and not is_argument


def elements(tensor: TensorProto, folder: Path) -> np.ndarray:
    """The elements of `tensor`, in its own shape; external data lies in `folder`.

    Raises:
        BadInput: if they can't be read: they should lie in a file that is not there, is a link or outside of the
            folder, or there are less than the shape says.
    """
    try:
        return np.asarray(numpy_helper.to_array(tensor, base_dir=str(folder)))
    except Exception as error:  # onnx's and numpy's own, on a tensor that may hold anything
        raise BadInput(f"the elements of tensor {tensor.name!r} can't be read: {one_line(error)}") from error


def _in_group(group: list[TensorProto], folder: Path, weights: dict[str, str]) -> Iterator[Duplicate]:
    """The duplicates among tensors of one dtype and number of elements: each is told of the first that it repeats.

    One tensor is in memory at a time: a small file may name the same external data many times.
    """
    alike: dict[str, list[TensorProto]] = {}
    for tensor in group:
        ordered = np.sort(elements(tensor, folder), axis=None)
        if ordered[0] != ordered[-1]:
            alike.setdefault(_digest(ordered), []).append(tensor)
    for candidates in alike.values():
        if len(candidates) > 1:
            yield from _among_alike(candidates, folder, weights)


@dataclass
class _Holders:
    """The tensors that hold some elements in one order, or could be transposed to: of each weight the first."""

    of_weight: dict[str | None, tuple[int, str]] = field(default_factory=dict)  # None: of no weight that is mapped

    def add(self, weight: str | None, place: int, name: str) -> None:
        self.of_weight.setdefault(weight, (place, name))

    def first(self, weight: str | None) -> tuple[int, str] | None:
        """Where the first lies that `weight` may repeat: two weights that happen to be equal are two."""
        found = self.of_weight.values() if weight is None else map(self.of_weight.get, (None, weight))
        return min((each for each in found if each is not None), default=None)


def _among_alike(candidates: list[TensorProto], folder: Path, weights: dict[str, str]) -> Iterator[Duplicate]:
    """The duplicates among tensors of the same elements, in time that grows with their number and not its square."""
    own = [_digest(elements(tensor, folder)) for tensor in candidates]
    wanted = set(own)
    equal: dict[str, _Holders] = defaultdict(_Holders)
    transposed: dict[str, _Holders] = defaultdict(_Holders)
    for place, tensor in enumerate(candidates):
        weight = weights.get(tensor.name)
        values = elements(tensor, folder).squeeze()
        found = [
            (*first, is_transposed)
            for is_transposed, holders in ((False, equal[own[place]]), (True, transposed[own[place]]))
            if (first := holders.first(weight)) is not None
        ]
        if found:
            _, of, is_transposed = min(found, key=lambda each: (each[0], each[2]))
            yield Duplicate(name=tensor.name, of=of, size=values.nbytes, is_transposed=is_transposed)
        equal[own[place]].add(weight, place, tensor.name)
        for order in itertools.permutations(range(values.ndim)) if values.ndim <= _MOST_AXES else ():
            digest = _digest(values.transpose(order))
            if digest in wanted:
                transposed[digest].add(weight, place, tensor.name)


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


def _mapped_weights(model: ModelProto) -> dict[str, str]:
    """The weights that an initializer holds, as its file's weight map says; nothing where there is no readable map."""
    texts = [entry.value for entry in model.metadata_props if entry.key == WEIGHT_MAP_KEY]
    found: dict[str, list[str]] = {}
    try:
        for entry in json.loads(texts[0]) if texts else []:
            if entry["initializer"] is not None:
                found.setdefault(entry["initializer"], []).append(str(entry["weight"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {initializer: "\0".join(sorted(weights)) for initializer, weights in found.items()}
