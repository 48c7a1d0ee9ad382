"""A weight's elements in the initializers that hold it, by its weight map: read, written, changed a little."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pipeline.records import Block, WeightPlacement

# A perturbed weight differs by five to ten per cent in every element: far more than any rounding, and no sign changes
# (a variance stays one).
_LEAST, _MOST = 0.05, 0.1
_PART = 2**20  # elements
# Elements after which moves repeat: a prime, so that no row of a weight repeats the one before.
_PERIOD = 65_537
# Elements beyond which a weight is moved in places only.
MOST_MOVED = 2**27


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


def moved(weight: np.ndarray, seed: int) -> np.ndarray:
    """A weight with every element moved by a seeded few per cent; zeros by as much of 1. The same for the same seed.

    What `perturbed` does, with moves that repeat after a prime number of elements: hundreds of millions of elements are
    moved in the time that it takes to read them. Of a weight above `MOST_MOVED` elements only some are moved, evenly
    spread, so that whichever row is read holds some of them.

    Args:
        weight: floating-point numbers of any shape.
        seed: `seed_of` the weight in a case.
    """
    rng = np.random.default_rng(seed)
    moves = rng.uniform(_LEAST, _MOST, _PERIOD) * rng.choice((-1.0, 1.0), _PERIOD)
    changed = np.array(weight, order="C")
    step = -(-weight.size // MOST_MOVED)
    flat = changed.reshape(-1)[seed % step :: step] if step > 1 else changed.reshape(-1)
    precision = np.float64 if weight.dtype == np.float64 else np.float32
    parts = moves.astype(precision)
    for start in range(0, flat.size, _PERIOD):
        part = flat[start : start + _PERIOD].astype(precision)
        own = parts[: part.size]
        flat[start : start + _PERIOD] = np.where(part == 0, own, part + part * own).astype(weight.dtype)
    return changed


def seed_of(name: str, seed: int) -> int:
    """The seed by which the weight `name` is moved in a case of this seed: each weight of a case moves otherwise."""
    return zlib.crc32(name.encode()) ^ seed


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
