"""Tensors of an ONNX file that hold again what another one holds."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
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
        for duplicate in _in_group([(tensor, _values(tensor, folder)) for tensor in tensors], weights)
    ]
    return tuple(sorted(found, key=lambda each: (-each.size, each.name)))


def _counts(tensor: TensorProto) -> bool:
    is_argument = tensor.data_type in _ARGUMENTS and len(tensor.dims) < 2
    return math.prod(tensor.dims) > 1 and not is_argument


def _values(tensor: TensorProto, folder: Path) -> np.ndarray:
    try:
        return np.asarray(numpy_helper.to_array(tensor, base_dir=str(folder)))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadInput(f"the elements of tensor {tensor.name!r} can't be read: {one_line(error)}") from error


def _in_group(group: list[tuple[TensorProto, np.ndarray]], weights: dict[str, str]) -> Iterator[Duplicate]:
    """The duplicates among tensors of one dtype and number of elements: each is told of the first that it repeats."""
    alike: dict[str, list[tuple[TensorProto, np.ndarray]]] = {}
    for tensor, values in group:
        ordered = np.sort(values, axis=None)
        if ordered[0] != ordered[-1]:
            alike.setdefault(hashlib.sha256(ordered.tobytes()).hexdigest(), []).append((tensor, values))
    for candidates in alike.values():
        for index, (tensor, values) in enumerate(candidates):
            for first, other in candidates[:index]:
                relation = _relation(values, other)
                if relation is not None and not _are_two_weights(tensor.name, first.name, weights):
                    is_transposed = relation == "transposed"
                    yield Duplicate(name=tensor.name, of=first.name, size=values.nbytes, is_transposed=is_transposed)
                    break


def _relation(values: np.ndarray, other: np.ndarray) -> str | None:
    """How two arrays of the same elements are the same tensor: in one order, or transposed; None if they are not."""
    if np.array_equal(values.ravel(), other.ravel()):
        return "equal"
    if other.ndim > _MOST_AXES:
        return None
    orders: Iterable[tuple[int, ...]] = itertools.permutations(range(other.ndim))
    is_transposed = any(np.array_equal(values.ravel(), other.transpose(order).ravel()) for order in orders)
    return "transposed" if is_transposed else None


def _mapped_weights(model: ModelProto) -> dict[str, str]:
    """The weights that an initializer holds, as its file's weight map says; nothing where there is no readable map."""
    texts = [entry.value for entry in model.metadata_props if entry.key == WEIGHT_MAP_KEY]
    found: dict[str, list[str]] = {}
    try:
        for entry in json.loads(texts[0]) if texts else []:
            if entry["initializer"] is not None:
                found.setdefault(entry["initializer"], []).append(entry["weight"])
    except (ValueError, KeyError, TypeError):
        return {}
    return {initializer: "\0".join(sorted(weights)) for initializer, weights in found.items()}


def _are_two_weights(one: str, other: str, weights: dict[str, str]) -> bool:
    return one in weights and other in weights and weights[one] != weights[other]
