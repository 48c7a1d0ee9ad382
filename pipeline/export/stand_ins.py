"""Values that stand in for weights during a conversion, so that each can be found again afterwards.

A converter moves weights about (transposes a kernel, permutes the gates of an LSTM) and merges constants of equal
value. With a different number in every element of every weight nothing is equal by chance, and where an element went
says which weight an initializer is, and in which layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from pipeline.records import Block

# Float32 patterns from 2^64 to 2^96, odd ones only: above what graphs count and scale with, below the largest number,
# which stands for infinity. What is computed from a stand-in mostly stays in that range, and is seen to be none.
_FIRST_PATTERN = 0x5F800001
_RANGE = (2.0**64, 2.0**96)
_CAPACITY = 1 << 27
_SCRAMBLE = 2_654_435_761  # odd, so a bijection modulo a power of two (Knuth's multiplicative hash)
_UNSCRAMBLE = pow(_SCRAMBLE, -1, _CAPACITY)
# The dtypes of which every element has a number of its own.
_DISTINCT = (np.float32, np.float64)
# Of 16 bits there are few patterns: odd ones from 2^10 on (float16) and from 2^64 to 2^96, of both signs.
_HALF_PATTERNS = {"float16": (0x6401, 0x7BFF), "bfloat16": (0x5F81, 0x6F80)}
_SIGN = 0x8000
_FEW = 3  # elements; random patterns tell weights with more of them apart

_MAX_BLOCKS = 64


def can_stand_in(dtype: np.dtype[Any]) -> bool:
    """Whether there are stand-ins of this dtype. Integers have none: any value of theirs may be one of the graph's."""
    return dtype in _DISTINCT or dtype.name in _HALF_PATTERNS


def stand_ins(weights: Sequence[np.ndarray], constants: Sequence[np.ndarray] = ()) -> list[np.ndarray]:
    """An array like each weight, no two elements of all float32 and float64 ones alike (up to 134 million elements).

    Half-precision weights of up to three elements get patterns of their own while there are any (some thousands),
    larger ones seeded random patterns: alike in places, different as wholes.

    Args:
        weights: of dtypes that `can_stand_in`.
        constants: what the graph holds beside its weights: no stand-in is one of these numbers.
    """
    numbers = _Numbers(constants)
    halves = {
        name: _HalfPatterns(name, constants) for name in {each.dtype.name for each in weights} & {*_HALF_PATTERNS}
    }
    used = 0
    arrays = []
    for weight in weights:
        if weight.dtype in _DISTINCT:
            arrays.append(numbers.values(used, weight.size).reshape(weight.shape).astype(weight.dtype))
            used += weight.size
        else:
            arrays.append(halves[weight.dtype.name].next(weight.size).view(weight.dtype).reshape(weight.shape))
    return arrays


class _Numbers:
    """The numbers that stand in, in their order, those left out that the graph itself holds."""

    def __init__(self, constants: Sequence[np.ndarray]) -> None:
        held = np.concatenate([_reserved(constant) for constant in constants] or [np.zeros(0, np.float32)])
        self._constants = np.unique(held)
        places = _place(self._constants)
        self._skipped = np.sort(places[places >= 0])
        self._skipped_before = self._skipped - np.arange(len(self._skipped))

    def values(self, first: int, size: int) -> np.ndarray:
        """The numbers from the one with index `first` on, in float32."""
        index = np.arange(first, first + size, dtype=np.int64)
        place = (index + np.searchsorted(self._skipped_before, index, side="right")).astype(np.uint64)
        scrambled = (place * np.uint64(_SCRAMBLE)) % np.uint64(_CAPACITY)
        return (np.uint64(_FIRST_PATTERN) + np.uint64(2) * scrambled).astype(np.uint32).view(np.float32)

    def index(self, values: np.ndarray) -> np.ndarray:
        """For each value the index of the number that it is, counted over all that are given out; -1 for any other."""
        place = _place(values)
        before = np.searchsorted(self._skipped, place)
        is_skipped = np.isin(place, self._skipped)
        return np.where((place >= 0) & ~is_skipped, place - before, -1)

    def are_strange(self, values: np.ndarray) -> np.ndarray:
        """Which values lie where only stand-ins do, and are not the graph's own (or their negatives)."""
        size = np.abs(values)
        strange: np.ndarray = (size >= _RANGE[0]) & (size < _RANGE[1]) & ~np.isin(size, np.abs(self._constants))
        return strange


class _HalfPatterns:
    """The 16-bit patterns that stand in, those left out that the graph itself holds."""

    def __init__(self, dtype: str, constants: Sequence[np.ndarray]) -> None:
        odd = np.arange(*_HALF_PATTERNS[dtype], 2, dtype=np.uint16)
        with np.errstate(over="ignore"):
            held = [np.unique(constant.astype(dtype).view(np.uint16)) for constant in constants]
        free = np.concatenate([odd, odd | np.uint16(_SIGN)])
        self._free = free[~np.isin(free, np.concatenate(held))] if held else free
        self._used = 0
        self._rng = np.random.default_rng(0)

    def next(self, size: int) -> np.ndarray:
        """As many patterns."""
        if size > _FEW or self._used + size > len(self._free):
            return self._rng.choice(self._free, size)
        self._used += size
        return self._free[self._used - size : self._used]


def _reserved(constant: np.ndarray) -> np.ndarray:
    """The elements of a constant, in float32, that lie where stand-ins do."""
    size = np.abs(constant.astype(np.float64))
    return constant[(size >= _RANGE[0]) & (size <= _RANGE[1])].astype(np.float32)


def _place(values: np.ndarray) -> np.ndarray:
    """For each value its place in the order of all stand-ins; -1 if it can be none."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    offset = narrow.view(np.uint32).astype(np.int64) - _FIRST_PATTERN
    is_stand_in = (offset >= 0) & (offset % 2 == 0) & (offset < 2 * _CAPACITY) & (narrow == values)
    return np.where(is_stand_in, offset // 2 * _UNSCRAMBLE % _CAPACITY, -1)


class Finder:
    """Finds stand-ins in the constants that came out of a conversion.

    Args:
        arrays: of the weights that are looked for, as `stand_ins` made them.
        constants: as given to `stand_ins`.
    """

    def __init__(self, arrays: Sequence[np.ndarray], constants: Sequence[np.ndarray] = ()) -> None:
        self._arrays = arrays
        self._numbers = _Numbers(constants)
        # Where each weight's numbers begin among all that were given out; some may have gone to weights not asked for.
        found = [index for index, array in enumerate(arrays) if array.dtype in _DISTINCT and array.size]
        starts = {index: int(self._numbers.index(arrays[index].flat[:1])[0]) for index in found}
        self._owners = sorted(found, key=starts.__getitem__)
        self._starts = np.array([starts[index] for index in self._owners], np.int64)
        self._ends = self._starts + [arrays[index].size for index in self._owners]

    def find(self, constant: np.ndarray) -> dict[int, tuple[Block, ...]] | None:
        """The weights (by index) that `constant` holds, and in which blocks; no blocks: it is the weight.

        None if it holds elements of weights in no order that blocks can say, or beside values that are not zero, or
        something computed from them.
        """
        whole = self._whole(constant)
        return whole if whole else self._by_element(constant)

    def _whole(self, constant: np.ndarray) -> dict[int, tuple[Block, ...]]:
        for index, array in enumerate(self._arrays):
            if array.dtype == constant.dtype and array.shape == constant.shape and np.array_equal(array, constant):
                return {index: ()}
        return {}

    def _by_element(self, constant: np.ndarray) -> dict[int, tuple[Block, ...]] | None:
        if constant.dtype not in _DISTINCT or not self._owners:
            return self._permuted(constant)
        source = self._numbers.index(constant)
        owner = np.searchsorted(self._starts, source, side="right") - 1
        owner = np.where((owner >= 0) & (source < self._ends[owner]), owner, -1)
        if not np.any(owner >= 0):
            return None if np.any(self._numbers.are_strange(constant)) else {}
        if np.any(constant[owner < 0] != 0):
            return None
        found = {}
        for number in np.unique(owner[owner >= 0]):
            within = np.where(owner == number, source - self._starts[number], -1)
            blocks = affine_blocks(within)
            if blocks is None:
                return None
            found[self._owners[number]] = blocks
        return found

    def _permuted(self, constant: np.ndarray) -> dict[int, tuple[Block, ...]]:
        """Half-precision weights, found as the same elements in the same or the transposed order."""
        for index, array in enumerate(self._arrays):
            if array.dtype != constant.dtype or array.size != constant.size or array.ndim > 4:
                continue
            positions = np.arange(array.size).reshape(array.shape)
            for permutation in permutations(range(array.ndim)):
                if np.array_equal(array.transpose(permutation).ravel(), constant.ravel()):
                    blocks = affine_blocks(positions.transpose(permutation).reshape(constant.shape))
                    return {index: blocks} if blocks else {}
        return {}


def affine_blocks(source: np.ndarray) -> tuple[Block, ...] | None:
    """Cut an array of flat positions in a weight (-1: from elsewhere) into boxes in which they run evenly.

    None if it takes more than 64 boxes: then it is no layout that anybody chose.
    """
    blocks: list[Block] = []
    pending = [(source, (0,) * source.ndim)]
    while pending:
        part, start = pending.pop()
        if np.all(part < 0):
            continue
        block = _as_block(part, start)
        if block is not None:
            blocks.append(block)
            if len(blocks) > _MAX_BLOCKS:
                return None
            continue
        axis, cut = _first_break(part)
        low, high = np.split(part, [cut], axis=axis)
        after = tuple(place + cut if index == axis else place for index, place in enumerate(start))
        pending += [(high, after), (low, start)]
    return tuple(blocks)


def _as_block(part: np.ndarray, start: tuple[int, ...]) -> Block | None:
    base = int(part.flat[0])
    strides = []
    expected = np.full(part.shape, base, dtype=np.int64)
    for axis, size in enumerate(part.shape):
        step = int(np.take(part, 1, axis).flat[0]) - base if size > 1 else 0
        strides.append(step)
        shape = [1] * part.ndim
        shape[axis] = size
        expected = expected + step * np.arange(size).reshape(shape)
    if np.any(part < 0) or not np.array_equal(expected, part):
        return None
    return Block(start=start, shape=part.shape, offset=base, strides=tuple(strides))


def _first_break(part: np.ndarray) -> tuple[int, int]:
    """The first axis and position where neighbouring slices stop differing by one constant step."""
    for axis, size in enumerate(part.shape):
        if size < 2:
            continue
        slices = np.moveaxis(part, axis, 0).reshape(size, -1)
        steps = np.diff(slices, axis=0)
        changes = np.any(steps != steps[0], axis=1) | np.any((slices[1:] < 0) != (slices[0] < 0), axis=1)
        if np.any(steps[0] != steps[0][0]):
            return axis, 1
        if changes.any():
            return axis, int(np.argmax(changes)) + 1
    raise AssertionError("a part that is no block breaks along some axis")
