"""Weights that a case moves: which, by how much, the same in every runtime.

A moved weight differs by five to ten per cent in every element: far more than any rounding, and no sign changes (a
variance stays one). Integers differ by as much in whole numbers, at least one, and stay between the least and the
greatest that the weight holds: an index stays one. About half of all truth values are flipped.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pipeline import weight_values
from pipeline.records import Case

_LEAST, _MOST = 0.05, 0.1
# Elements after which moves repeat: a prime, so that no row of a weight repeats the one before.
_PERIOD = 65_537
_ALIGNMENT = 64  # bytes
# Elements beyond which a weight is moved in places only: as many as are seen whichever row is read.
MOST_MOVED = 2**27


def can_be_moved(dtype: str) -> bool:
    """Whether a weight of this dtype can have other values: numbers and truth values, not texts."""
    return dtype.startswith(("float", "bfloat", "complex", "int", "uint", "bool"))


def moved(weight: np.ndarray, seed: int) -> np.ndarray:
    """A weight with every element moved by a seeded few per cent; zeros by as much of 1. The same for the same seed.

    Integers are moved by whole numbers, and some truth values flipped. Moves repeat after a prime number of elements:
    hundreds of millions are moved in little more time than it takes to read them. Of a weight above `MOST_MOVED`
    elements only some are moved, evenly spread.

    Args:
        weight: numbers or truth values of any shape.
        seed: `seed_of` the weight in a case.
    """
    rng = np.random.default_rng(seed)
    drawn = min(weight.size, _PERIOD)
    moves = rng.uniform(_LEAST, _MOST, drawn) * rng.choice((-1.0, 1.0), drawn)
    change = _changing(weight, moves)
    changed = _aligned(weight.shape, weight.dtype)
    changed[...] = weight
    step = max(1, -(-weight.size // MOST_MOVED))
    flat = changed.reshape(-1)[seed % step :: step]
    for start in range(0, flat.size, _PERIOD):
        part = flat[start : start + _PERIOD]
        part[...] = change(part, slice(part.size))
    return changed


def _changing(weight: np.ndarray, moves: np.ndarray) -> Callable[[np.ndarray, slice], np.ndarray]:
    """What makes moved elements of some of a weight's own, by the moves of that slice."""
    if weight.dtype.kind in "iu" and weight.size:
        return partial(_moved_integers, moves, weight.min(), weight.max())
    if weight.dtype.kind == "b":
        is_flipped = moves > 0
        is_flipped[:1] = True
        return lambda part, these: part ^ is_flipped[these]
    is_as_precise = weight.dtype.kind == "c" or weight.dtype == np.float64
    return partial(_moved_floats, moves.astype(weight.dtype if is_as_precise else np.float32))


def _moved_floats(moves: np.ndarray, part: np.ndarray, these: slice) -> np.ndarray:
    wide, own = part.astype(moves.dtype), moves[these]
    return np.asarray(np.where(wide == 0, own, wide + wide * own)).astype(part.dtype)


def _moved_integers(moves: np.ndarray, least: Any, most: Any, part: np.ndarray, these: slice) -> np.ndarray:
    """Integers moved within a range; those that all are one number by one towards 0, and zeros to 1.

    Counted modulo 2^64: the distance between two 64-bit integers is no 64-bit integer of theirs.
    """
    if least == most:
        return np.asarray(part - np.sign(part) if least else part + 1).astype(part.dtype)
    own = moves[these]
    step = np.maximum(1, np.rint(np.abs(part.astype(np.float64) * own))).astype(np.uint64)
    wide = part.astype(np.uint64)
    up = np.minimum(step, most.astype(np.uint64) - wide)
    down = np.minimum(step, wide - least.astype(np.uint64))
    goes_up = np.where(own > 0, up >= down, up > down)  # the way that has room
    return np.asarray(np.where(goes_up, wide + up, wide - down)).astype(part.dtype)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An array that begins where every runtime can take it as its own memory."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def scaled(weight: np.ndarray, gain: float) -> np.ndarray:
    """A weight times a number, where it has two axes or more: what is added or scales by itself stays."""
    return weight if weight.ndim < 2 or gain == 1.0 else (weight * np.asarray(gain, weight.dtype)).astype(weight.dtype)


def seed_of(name: str, seed: int) -> int:
    """The seed by which the weight `name` is moved in a case of this seed: each weight of a case moves otherwise."""
    return zlib.crc32(name.encode()) ^ seed


@dataclass(frozen=True)
class Moving:
    """What a case does to the weights of a model before it is answered."""

    case: Case

    def moves(self, name: str, dtype: str) -> bool:
        """Whether the weight `name`, of this dtype, has another value in this case."""
        is_random = self.case.random_seed is not None and "float" in dtype
        return is_random or name in self.case.weights or name == self.case.weight

    @property
    def base(self) -> Moving:
        """What it does first: all weights at random, if it has them."""
        return Moving(self.case.model_copy(update={"weight": None, "weights": (), "weight_seed": 0}))

    @property
    def on_base(self) -> Moving:
        """What it does then: cases that differ in this alone need all weights at random but once."""
        return Moving(self.case.model_copy(update={"random_seed": None}))

    def is_like(self, other: Moving) -> bool:
        """Whether the other does the same to every weight."""
        said = ("weight", "weight_seed", "weights", "random_seed", "random_gain")
        return all(getattr(self.case, field) == getattr(other.case, field) for field in said)

    def steps(self, name: str, dtype: str) -> list[tuple[int, float]]:
        """The seeds by which the weight is moved one after another, each with the factor that it has afterwards."""
        found = []
        if self.case.random_seed is not None and "float" in dtype:
            found.append((seed_of(name, self.case.random_seed), self.case.random_gain))
        if name in self.case.weights:
            found.append((seed_of(name, self.case.weight_seed), 1.0))
        return found

    def value(self, name: str, own: np.ndarray) -> np.ndarray:
        """The weight as the case has it, from the model's own."""
        if name == self.case.weight:  # a case of format 1
            return weight_values.perturbed(own, self.case.weight_seed)
        for seed, gain in self.steps(name, own.dtype.name):
            own = scaled(moved(own, seed), gain)
        return own
