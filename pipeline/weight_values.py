"""A weight's elements in the initializers that hold it, by its weight map: read, written, changed a little."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pipeline.records import Block, WeightPlacement

# A perturbed weight differs by five to ten per cent in every element: far more than any rounding, and no sign changes
# (a variance stays one).
_LEAST, _MOST = 0.05, 0.1
_PART = 2**20  # elements


def perturbed(weight: np.ndarray, seed: int) -> np.ndarray:
    """A weight with every element moved by a seeded few per cent; zeros by as much of 1. The same for the same seed.

    A part at a time: drawn at once, the moves would take many times the memory of a large weight.
    """
    rng = np.random.default_rng(seed)
    changed = np.array(weight, order="C")
    flat = changed.reshape(-1)
    for start in range(0, flat.size, _PART):
        part = flat[start : start + _PART]
        wide = part.astype(np.float64)
        moves = rng.uniform(_LEAST, _MOST, part.size) * rng.choice((-1.0, 1.0), part.size)
        part[...] = np.where(wide == 0, moves, wide * (1 + moves)).astype(weight.dtype)
    return changed


def digest_of(weight: np.ndarray) -> str:
    """The sha256 of a weight: its dtype, its shape and its elements."""
    sha = hashlib.sha256(f"{weight.dtype.name}{weight.shape}".encode())
    sha.update(np.ascontiguousarray(weight).reshape(-1).view(np.uint8).data)  # bytes that are not copied
    return sha.hexdigest()


def read(placements: Iterable[WeightPlacement], initializers: Mapping[str, np.ndarray]) -> np.ndarray:
    """A weight in its own shape, from all the places that hold parts of it."""
    placements = tuple(placements)
    first = placements[0]
    flat = np.zeros(first.size, next(iter(initializers.values())).dtype)
    for placement in placements:
        array = initializers[placement.initializer or ""]
        if not placement.blocks:
            return array.reshape(first.shape)
        for block, box in _boxes(placement.blocks):
            _walk(flat, block)[...] = array[box]
    return flat.reshape(first.shape)


def write(weight: np.ndarray, blocks: tuple[Block, ...], initializer: np.ndarray) -> None:
    """Put a weight into an initializer, in place, as its blocks say; without blocks it is the initializer."""
    if not blocks:
        initializer[...] = weight
    flat = np.ascontiguousarray(weight).ravel()
    for block, box in _boxes(blocks):
        initializer[box] = _walk(flat, block)


def held(placement: WeightPlacement) -> int:
    """How many elements of the weight lie at this place."""
    return sum(math.prod(block.shape) for block in placement.blocks) if placement.blocks else placement.size


def _boxes(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, tuple[slice, ...]]]:
    for block in blocks:
        yield block, tuple(slice(start, start + size) for start, size in zip(block.start, block.shape, strict=True))


def _walk(flat: np.ndarray, block: Block) -> np.ndarray:
    """The elements of a flat weight that a block holds, in the block's shape: a view."""
    return as_strided(flat[block.offset :], block.shape, tuple(stride * flat.itemsize for stride in block.strides))
