"""Putting the weights into a converted graph, each stored once, and writing down where they went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from pipeline.errors import BadInput
from pipeline.export.passes.constants import add_constant
from pipeline.export.stand_ins import Finder
from pipeline.graph.flatten import unused_name
from pipeline.records import WEIGHT_MAP_KEY, Block, WeightPlacement, weight_map_text


class StoredTwice(BadInput):
    """The converter stored a weight in two layouts that no transpose joins; the message names it."""


@dataclass(frozen=True)
class NamedWeight:
    """A Keras weight: its name in the map, its value, and the labels of the call sites that read it."""

    name: str
    value: np.ndarray
    call_sites: tuple[str, ...]


@dataclass(frozen=True)
class _Holding:
    """An initializer, and the blocks of each weight (by index) that lie in it."""

    tensor: ir.Value
    array: np.ndarray
    blocks: dict[int, tuple[Block, ...]]

    def is_whole(self, weight: int, size: int) -> bool:
        """Whether the initializer holds this one weight and all of it."""
        if set(self.blocks) != {weight}:
            return False
        return _uncovered(size, [self.blocks[weight]]) == (0, 0)


def place_weights(model: ir.Model, weights: Sequence[NamedWeight], finder: Finder) -> tuple[WeightPlacement, ...]:
    """Replace the stand-ins in `model` by the weights; returns where each weight lies.

    Initializers get the weights' names. A weight that the converter stored in several layouts is kept in one, and
    transposed where another is read (onnxruntime folds that when it loads the file). The map is also written into the
    model's metadata.

    Raises:
        BadInput: if the converter computed with a weight, so that its values are no longer in the graph.
        StoredTwice: if a weight, or a part of one, is left at two places.
    """
    holdings = _without_duplicates(model.graph, _holdings(model.graph, finder))
    kept = _kept_once(model.graph, holdings, weights)
    names: set[str] = set()
    for holding in kept:
        name = unused_name("+".join(weights[index].name for index in holding.blocks), names)
        names.add(name)
        _fill(holding, weights, name)
    placements = tuple(entry for index, weight in enumerate(weights) for entry in _placements(index, weight, kept))
    _refuse_lost_or_repeated(weights, placements)
    model.metadata_props[WEIGHT_MAP_KEY] = weight_map_text(placements)
    return placements


def _holdings(graph: ir.Graph, finder: Finder) -> list[_Holding]:
    holdings = []
    for tensor in list(graph.initializers.values()):
        assert tensor.const_value is not None
        array = tensor.const_value.numpy()
        blocks = finder.find(array)
        if blocks is None:
            raise BadInput(
                f"constant '{tensor.name}' mixes weights with other values: the converter computed with them"
            )
        if blocks:
            holdings.append(_Holding(tensor, array, blocks))
    return holdings


def _without_duplicates(graph: ir.Graph, holdings: list[_Holding]) -> list[_Holding]:
    """One of each initializers that hold the same blocks of the same weights: each call site may have made its own."""
    first: dict[Any, _Holding] = {}
    for holding in holdings:
        same = first.setdefault((holding.array.shape, tuple(sorted(holding.blocks.items()))), holding)
        if same is not holding:
            ir.convenience.replace_all_uses_with(holding.tensor, same.tensor)
            assert holding.tensor.name is not None
            del graph.initializers[holding.tensor.name]
    return list(first.values())


def _kept_once(graph: ir.Graph, holdings: list[_Holding], weights: Sequence[NamedWeight]) -> list[_Holding]:
    """Drop initializers that hold, laid out otherwise, a weight that another initializer holds whole."""
    dropped: set[int] = set()
    for index, weight in enumerate(weights):
        whole = [holding for holding in holdings if holding.is_whole(index, weight.value.size)]
        whole.sort(key=lambda holding: len(holding.blocks[index]))  # the weight as Keras has it first
        for other in whole[1:]:
            kept, wanted = (_Order.of(each.array.shape, each.blocks[index]) for each in (whole[0], other))
            if kept is None or wanted is None:
                raise StoredTwice(f"weight '{weight.name}' would be stored in two layouts")
            _read_laid_out(graph, whole[0].tensor, other.tensor, kept.steps_to(wanted))
            dropped.add(id(other))
    return [holding for holding in holdings if id(holding) not in dropped]


@dataclass(frozen=True)
class _Order:
    """How a whole weight lies in an initializer of `shape`: `axes`, taken in this order, run through it as it is."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @staticmethod
    def of(shape: tuple[int, ...], blocks: tuple[Block, ...]) -> _Order | None:
        """The order of a layout that is one even walk over the whole initializer; None if there is more to it."""
        if not blocks:
            return _Order(shape, tuple(range(len(shape))))
        if len(blocks) > 1 or blocks[0].shape != shape:
            return None
        strides = blocks[0].strides
        axes = tuple(sorted(range(len(shape)), key=lambda axis: (-strides[axis] if shape[axis] > 1 else 0, axis)))
        behind = 1
        for axis in reversed(axes):
            if shape[axis] > 1 and strides[axis] != behind:
                return None
            behind *= shape[axis]
        return _Order(shape, axes)

    def steps_to(self, other: _Order) -> list[tuple[str, list[int]]]:
        """The operators, each with its permutation or shape, that make the other layout of this one."""
        back = [other.axes.index(axis) for axis in range(len(other.shape))]
        in_order = [self.shape[axis] for axis in self.axes]
        wanted = [other.shape[axis] for axis in other.axes]
        if in_order == wanted:  # one transpose does it
            return _but_idle([("Transpose", [self.axes[place] for place in back])])
        return _but_idle([("Transpose", list(self.axes)), ("Reshape", wanted), ("Transpose", back)])


def _but_idle(steps: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    return [(operator, told) for operator, told in steps if operator != "Transpose" or told != sorted(told)]


def _read_laid_out(graph: ir.Graph, kept: ir.Value, other: ir.Value, steps: list[tuple[str, list[int]]]) -> None:
    """Let the readers of `other` read what the steps make of `kept`."""
    nodes: list[ir.Node] = []
    value = kept
    for operator, told in steps:
        if operator == "Transpose":
            node = ir.node(operator, [value], attributes={"perm": told})
        else:
            node = ir.node(operator, [value, add_constant(graph, f"{other.name}/shape", np.array(told, np.int64))])
        nodes.append(node)
        value = node.outputs[0]
    if nodes:
        next(iter(graph)).prepend(nodes)
    ir.convenience.replace_all_uses_with(other, value)
    assert other.name is not None
    del graph.initializers[other.name]


def _fill(holding: _Holding, weights: Sequence[NamedWeight], name: str) -> None:
    """Put the weights' own values where their stand-ins were."""
    value = np.zeros_like(holding.array)
    for index, blocks in holding.blocks.items():
        place(weights[index].value, blocks, value)
    holding.tensor.const_value = ir.tensor(value, name=name)
    holding.tensor.name = name


def place(weight: np.ndarray, blocks: tuple[Block, ...], initializer: np.ndarray) -> None:
    """Write a weight into an initializer, in place, as its blocks say."""
    if not blocks:
        initializer[...] = weight
    flat = np.ascontiguousarray(weight).ravel()
    for block in blocks:
        box = tuple(slice(start, start + size) for start, size in zip(block.start, block.shape, strict=True))
        strides = tuple(stride * flat.itemsize for stride in block.strides)
        initializer[box] = np.lib.stride_tricks.as_strided(flat[block.offset :], block.shape, strides)


def placement(weight: NamedWeight, initializer: str | None = None, blocks: tuple[Block, ...] = ()) -> WeightPlacement:
    """The entry of the weight map for `weight`; without an initializer: no node reads it."""
    return WeightPlacement(
        weight=weight.name,
        shape=weight.value.shape,
        dtype=weight.value.dtype.name,
        initializer=initializer,
        blocks=blocks,
        call_sites=weight.call_sites,
    )


def _placements(index: int, weight: NamedWeight, holdings: list[_Holding]) -> list[WeightPlacement]:
    held = [placement(weight, h.tensor.name, h.blocks[index]) for h in holdings if index in h.blocks]
    return held or [placement(weight)]


def _refuse_lost_or_repeated(weights: Sequence[NamedWeight], placements: Sequence[WeightPlacement]) -> None:
    """Refuse a weight of which the graph does not hold every element exactly once.

    One held twice may be a constant of the graph that was taken for it: no file may be made of that.
    """
    by_weight: dict[str, list[tuple[Block, ...]]] = {}
    for entry in placements:
        if entry.initializer is not None:
            by_weight.setdefault(entry.weight, []).append(entry.blocks)
    for weight in weights:
        missing, repeated = _uncovered(weight.value.size, by_weight.get(weight.name, []))
        if missing:
            raise BadInput(
                f"weight '{weight.name}' is not whole in the converted graph: the converter changed it, or merged it "
                "with one of equal value"
            )
        if repeated:
            raise StoredTwice(f"weight '{weight.name}' would be stored with {repeated:,} of its elements repeated")


def _uncovered(size: int, places: Sequence[tuple[Block, ...]]) -> tuple[int, int]:
    """How many elements of a weight lie at none of these places, and how many more lie there than the others."""
    if all(not blocks for blocks in places):  # each is the weight: nothing to count
        return (0, size * (len(places) - 1)) if places else (size, 0)
    held = np.zeros(size, np.bool_)
    total = 0
    for blocks in places:
        for block in blocks:
            np.lib.stride_tricks.as_strided(held[block.offset :], block.shape, block.strides)[...] = True
        held[...] |= not blocks
        total += sum(math.prod(block.shape) for block in blocks) if blocks else size
    covered = int(np.count_nonzero(held))
    return size - covered, total - covered
