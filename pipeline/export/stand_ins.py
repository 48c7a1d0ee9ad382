"""Values that stand in for weights during a conversion, so that each can be found again afterwards.

A converter moves weights about (transposes a kernel, permutes the gates of an LSTM) and merges constants of equal
value. With a different number in every element of every weight nothing is equal by chance, and where an element went
says which weight an initializer is, and in which layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from pipeline.records import Block

# Float32 patterns from 0x30000001 on, odd ones only: 4.7e-10 to 2.0, and none of the round numbers that graphs hold.
_FIRST_PATTERN = 0x30000001
_CAPACITY = 1 << 27
_SCRAMBLE = 2_654_435_761  # odd, so a bijection modulo a power of two (Knuth's multiplicative hash)
_UNSCRAMBLE = pow(_SCRAMBLE, -1, _CAPACITY)
# The dtypes of which every element has a number of its own.
_DISTINCT = (np.float32, np.float64)

_MAX_BLOCKS = 64


def stand_ins(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """An array like each weight, no two elements of all float32 and float64 ones alike (up to 134 million elements).

    Half-precision weights, and integers of rank 2 and more (quantised kernels), get seeded random values: alike in
    places, different as wholes. Vectors and scalars of integers, and booleans, keep their own, since TensorFlow may
    read them as shapes.
    """
    used = 0
    arrays = []
    for number, weight in enumerate(weights):
        if weight.dtype in _DISTINCT:
            arrays.append(_distinct(used, weight.size).reshape(weight.shape).astype(weight.dtype))
            used += weight.size
        elif weight.dtype.kind == "f" or weight.dtype.name == "bfloat16":
            rng = np.random.default_rng(number)
            arrays.append(rng.uniform(0.5, 2.0, weight.shape).astype(weight.dtype))
        elif weight.dtype.kind in "iu" and weight.ndim > 1:
            limits = np.iinfo(weight.dtype)
            rng = np.random.default_rng(number)
            arrays.append(rng.integers(max(limits.min, -100), 101, weight.shape).astype(weight.dtype))
        else:
            arrays.append(weight)
    return arrays


def _distinct(first: int, size: int) -> np.ndarray:
    index = np.arange(first, first + size, dtype=np.uint64)
    scrambled = (index * np.uint64(_SCRAMBLE)) % np.uint64(_CAPACITY)
    return (np.uint64(_FIRST_PATTERN) + np.uint64(2) * scrambled).astype(np.uint32).view(np.float32)


def _place(values: np.ndarray) -> np.ndarray:
    """For each value the number of the stand-in that it is, counted over all that were given out; -1 for any other."""
    narrow = values.astype(np.float32)
    offset = narrow.view(np.uint32).astype(np.int64) - _FIRST_PATTERN
    is_stand_in = (offset >= 0) & (offset % 2 == 0) & (offset < 2 * _CAPACITY) & (narrow == values)
    return np.where(is_stand_in, offset // 2 * _UNSCRAMBLE % _CAPACITY, -1)


class Finder:
    """Finds stand-ins in the constants that came out of a conversion."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = arrays
        # Where each weight's numbers begin among all that were given out; some may have gone to weights not asked for.
        found = [index for index, array in enumerate(arrays) if array.dtype in _DISTINCT and array.size]
        starts = {index: int(_place(arrays[index].ravel()[:1])[0]) for index in found}
        self._owners = sorted(found, key=starts.__getitem__)
        self._starts = np.array([starts[index] for index in self._owners], np.int64)
        self._ends = self._starts + [arrays[index].size for index in self._owners]

    def find(self, constant: np.ndarray) -> dict[int, tuple[Block, ...]] | None:
        """The weights (by index) that `constant` holds, and in which blocks; no blocks: it is the weight.

        None if it holds elements of weights in no order that blocks can say, or beside values that are not zero.
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
        source = _place(constant)
        owner = np.searchsorted(self._starts, source, side="right") - 1
        owner = np.where((owner >= 0) & (source < self._ends[owner]), owner, -1)
        if not np.any(owner >= 0):
            return {}
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
        """Half-precision and integer weights, found as the same elements in the same or the transposed order."""
        for index, array in enumerate(self._arrays):
            if (
                array.dtype != constant.dtype
                or array.size != constant.size
                or array.ndim > 4
                or (array.size < 2 and array.dtype.kind != "f")
            ):
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
