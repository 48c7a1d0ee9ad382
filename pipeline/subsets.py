"""A large answer told by a seeded subset of its elements, its extremes, its scale and seeded sums of its blocks.

What is frozen of an answer of millions of elements is a few thousand of them. An artifact gives its whole answer, and
is held against the rest by sums: the elements lie in some thousand blocks, one after another, and of each block the sum
is kept, every element with a seeded sign. Where each of a block's n elements is within its budget B, the sum is within
n B (and the rounding of two sums in double precision): so a sum beyond that is an element beyond its budget, whichever
it is, and no sound artifact fails by it. Without the signs elements that change places would not show. Every element is
taken as a part of its feature's scale, so that a small feature is not lost beside a large one.

The places and the signs follow from a seed and the answer's shape and are not kept.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

MOST_FEATURES = 2**10  # beyond that no scale is told for each
PARTS = ("values", "extremes", "sums", "shape", "counts", "scales")


@dataclass(frozen=True)
class Level:
    """How much is kept of an answer: the whole of one of `whole` elements, of a larger one `elements` and `blocks`."""

    whole: int
    elements: int
    blocks: int

    def kept_bytes(self, shape: tuple[int, ...], itemsize: int) -> int:
        """What an answer of this shape takes, with elements of so many bytes."""
        size = math.prod(shape)
        if size <= self.whole:
            return size * itemsize
        return (min(size, self.elements) + 2) * itemsize + 8 * (
            min(size, self.blocks) + _features(shape) + len(shape) + 5
        )


# Of a fault in one element of a thousand some sixteen show at first; the others are for models of many large answers.
LEVELS = tuple(
    Level(whole, elements, blocks)
    for whole, elements, blocks in (
        (2**15, 2**14, 2**10),
        (2**12, 2**12, 2**8),
        (2**10, 2**10, 2**6),
        (2**8, 2**8, 2**4),
    )
)


@dataclass(frozen=True)
class Reduced:
    """An answer, reduced.

    `values` (n,) are the elements at `places`; `extremes` (2,) the places of the reference's largest and smallest
    finite elements, which are the last two of them. `sums` (blocks,) are the signed sums of the blocks, in float64 and
    relative to the reference's scales, or in int64 that wraps around for integers and booleans; NaN for a block in
    which an element is not finite. `counts`
    (3,) tell how many elements of the whole are NaN, +inf and -inf. `scales` has the largest finite absolute value of
    each feature, the last axis' places, of the whole answer; one for all where there are more than `MOST_FEATURES`.
    """

    seed: int
    shape: tuple[int, ...]
    values: np.ndarray
    extremes: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    scales: np.ndarray

    @property
    def size(self) -> int:
        """How many elements the whole answer has."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """The whole answer's largest finite absolute value."""
        return float(np.max(self.scales, initial=0.0))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""
        return self.values.dtype

    @cached_property
    def places(self) -> np.ndarray:
        """Where in the whole, flat, the elements lie: (n,)."""
        return np.concatenate([_seeded_places(self.seed, self.size, len(self.values) - 2), self.extremes])

    def of(self, whole: np.ndarray) -> np.ndarray:
        """The elements of another answer of this shape that lie at the same places."""
        return np.asarray(whole.reshape(-1)[self.places])

    def arrays(self) -> dict[str, np.ndarray]:
        """What there is to keep, by part."""
        shape = np.array(self.shape, np.int64)
        parts = (self.values, self.extremes, self.sums, shape, self.counts, self.scales)
        return dict(zip(PARTS, parts, strict=True))


def seed_of(key: str, output: str) -> int:
    """The seed for an output's answer to the case `key`: another for each, so that cases show other places."""
    return zlib.crc32(f"{key}/{output}".encode())


def reduced(whole: np.ndarray, seed: int, like: Reduced | None = None, level: Level = LEVELS[0]) -> Reduced:
    """An answer, reduced, `like` the reference to the same case, if that is given: with its extremes' places."""
    flat = whole.reshape(-1)
    extremes = _extremes(flat) if like is None else like.extremes
    places = np.concatenate([_seeded_places(seed, flat.size, min(flat.size, level.elements)), extremes])
    counts = [np.isnan(flat).sum(), np.isposinf(flat).sum(), np.isneginf(flat).sum()] if _is_float(whole) else [0] * 3
    scales = _scales(whole)
    return Reduced(
        seed=seed,
        shape=whole.shape,
        values=flat[places],
        extremes=extremes,
        sums=block_sums(flat, seed, scales if like is None else like.scales, min(flat.size, level.blocks)),
        counts=np.array(counts, np.int64),
        scales=scales,
    )


def from_arrays(seed: int, arrays: Mapping[str, np.ndarray]) -> Reduced:
    """What was kept, read again.

    Raises:
        ValueError: if the parts don't fit together.
    """
    given = {part: arrays[part] for part in PARTS}
    if any(array.ndim != 1 for array in given.values()):
        raise ValueError("its parts are not one row of numbers each")
    sums = np.float64 if _is_float(given["values"]) else np.int64
    kinds = {"extremes": np.int64, "sums": sums, "shape": np.int64, "counts": np.int64, "scales": np.float64}
    if any(given[part].dtype != kind for part, kind in kinds.items()):
        raise ValueError("its parts are of other kinds")
    shape = tuple(int(size) for size in given.pop("shape"))
    if min(shape, default=1) < 1 or math.prod(shape) > 2**40:
        raise ValueError(f"its shape is {shape}")
    size = math.prod(shape)
    offered = [
        {
            "values": min(size, level.elements) + 2,
            "extremes": 2,
            "sums": min(size, level.blocks),
            "counts": 3,
            "scales": _features(shape),
        }
        for level in LEVELS
    ]
    found = {part: len(array) for part, array in given.items()}
    if found not in offered:
        raise ValueError(f"its parts have {found} elements, expected {offered[0]} or fewer")
    extremes = given["extremes"]
    if extremes.min() < 0 or extremes.max() >= size:
        raise ValueError("its extremes lie outside")
    return Reduced(seed=seed, shape=shape, **given)


def differing_blocks(
    reference: Reduced,
    answer: np.ndarray,
    allowed: Callable[[np.ndarray], np.ndarray],
    open_: np.ndarray | None = None,
    keras: Reduced | None = None,
) -> list[str]:
    """What is wrong with a whole answer by the sums of its blocks, a sentence for each kind of fault.

    Args:
        reference: what it is held against.
        answer: of the reference's shape.
        allowed: how far each element may be off, by its place in the whole, flat; not asked for integers.
        open_: elements that are not judged, of the answer's shape: blocks that hold one are passed over.
        keras: Keras' own answer: an artifact may be no number where that is.
    """
    flat = answer.reshape(-1)
    sums = block_sums(flat, reference.seed, reference.scales, len(reference.sums))
    bounds = _bounds(flat.size, len(sums))
    is_judged = np.ones(len(sums), bool)
    if open_ is not None and open_.any():
        is_judged &= np.add.reduceat(open_.reshape(-1), bounds[:-1], dtype=np.int64) == 0
    if not _is_float(answer):
        different = (sums != reference.sums) & is_judged
        return [_told(int(different.sum()), len(sums))] if different.any() else []
    is_judged &= np.isfinite(reference.sums)
    is_judged &= True if keras is None else np.isfinite(keras.sums)
    limits = np.add.reduceat(allowed(np.arange(flat.size)) / _divisors(reference.scales, flat.size), bounds[:-1])
    limits += _rounding(np.diff(bounds))
    beyond = ~(np.abs(sums - reference.sums) <= limits) & is_judged  # so that a NaN is beyond
    return [_told(int(beyond.sum()), len(sums))] if beyond.any() else []


def block_sums(flat: np.ndarray, seed: int, scales: np.ndarray, blocks: int) -> np.ndarray:
    """The sums (blocks,) of a flat answer's blocks, each element with its seeded sign and relative to its scale."""
    bounds = _bounds(flat.size, blocks)
    signs = _signs(seed, flat.size)
    if not _is_float(flat):
        with np.errstate(over="ignore"):
            return np.asarray(np.add.reduceat(flat.astype(np.int64) * signs, bounds[:-1]))
    with np.errstate(invalid="ignore"):
        summed = np.add.reduceat(flat.astype(np.float64) / _divisors(scales, flat.size) * signs, bounds[:-1])
    return np.where(np.isfinite(summed), summed, np.nan)


def _told(count: int, blocks: int) -> str:
    return f"the sums of {count} of {blocks} blocks of its elements are off by more than their budgets add up to"


def _divisors(scales: np.ndarray, size: int) -> np.ndarray:
    """The scale of every element's feature; 1 where a feature is nothing."""
    return np.resize(np.where(scales > 0, scales, 1.0), size)


def _rounding(sizes: np.ndarray) -> np.ndarray:
    """What two sums of so many elements of about 1 at most may differ by in double precision."""
    return np.asarray(4 * sizes**2 * float(np.finfo(np.float64).eps))


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _extremes(flat: np.ndarray) -> np.ndarray:
    """The places (2,) of the largest and the smallest finite element; the first where there is none."""
    if not _is_float(flat):
        return np.array([np.argmax(flat), np.argmin(flat)], np.int64)
    finite = np.isfinite(flat)
    return np.array([np.argmax(np.where(finite, flat, -np.inf)), np.argmin(np.where(finite, flat, np.inf))], np.int64)


def _features(shape: tuple[int, ...]) -> int:
    """How many features are told apart: the places of the last axis, or one for all."""
    return shape[-1] if len(shape) > 1 and shape[-1] <= MOST_FEATURES else 1


def _scales(whole: np.ndarray) -> np.ndarray:
    """The largest finite absolute value of each feature."""
    values = np.abs(whole.reshape(-1, _features(whole.shape)).astype(np.float64))
    return np.asarray(np.max(np.where(np.isfinite(values), values, 0.0), axis=0, initial=0.0))


def _bounds(size: int, blocks: int) -> np.ndarray:
    """Where so many blocks begin, and the last ends: as equal as can be."""
    return np.asarray(np.arange(blocks + 1, dtype=np.int64) * size // blocks)


@lru_cache(maxsize=4)
def _seeded_places(seed: int, size: int, elements: int) -> np.ndarray:
    """So many different places among `size`, in order."""
    if size == elements:
        return np.arange(size)
    # One in each of as many even stretches: spread over all, and drawn in the memory of the result.
    bounds = np.arange(elements + 1, dtype=np.int64) * size // elements
    return np.asarray(np.random.default_rng((seed, size, 0)).integers(bounds[:-1], bounds[1:]))


@lru_cache(maxsize=4)
def _signs(seed: int, size: int) -> np.ndarray:
    """A sign for each of so many elements."""
    bits = np.random.default_rng((seed, size, 1)).integers(0, 256, (size + 7) // 8, dtype=np.uint8)
    return np.asarray(1 - 2 * np.unpackbits(bits, count=size).astype(np.int8))
