"""Seeded inputs that try to break a model, drawn from its recorded signature."""

from __future__ import annotations

import numpy as np

from pipeline.errors import BadInput
from pipeline.records import InputSpec, Signature

# Raised whenever the same seed would give other values, because frozen cases may be kept as a seed alone.
GENERATOR_VERSION = 1

# Free axes other than `batch` run from the shortest that the model takes to four times that: from 3, long enough for
# padding to matter and short enough for a loop to be quick.
_LONGEST_IN_SHORTEST = 4
_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_INTEGERS_BELOW = 10
_PIXELS_BELOW = 256  # an unsigned byte is a pixel


def generate(signature: Signature, batch: int, seed: int) -> dict[str, np.ndarray]:
    """One case: an array for every input, in input order; the same for the same signature, batch and seed.

    Floats are standard normal, ids uniform below the input's bound, other integers small. Every free axis but `batch`
    gets one size wherever its name occurs. A masked input `(batch, time, ...)` is padded on the right with zeros after
    at least one valid step, and its valid ids are never 0.

    Raises:
        BadInput: for an empty batch, or an input of a dtype for which nothing is drawn (bfloat16, strings).
    """
    if batch < 1:
        raise BadInput(f"a case of batch {batch} was asked for: the smallest batch is 1")
    rng = np.random.default_rng((seed, batch))
    sizes = _axis_sizes(signature, batch, rng)
    return {spec.name: _draw(spec, sizes, rng) for spec in signature.inputs}


def _axis_sizes(signature: Signature, batch: int, rng: np.random.Generator) -> dict[str, int]:
    sizes = {"batch": batch}
    for spec in signature.inputs:
        for axis in spec.shape:
            if isinstance(axis, str) and axis not in sizes:
                shortest = signature.shortest_axis
                sizes[axis] = int(rng.integers(shortest, _LONGEST_IN_SHORTEST * shortest + 1))
    return sizes


def _draw(spec: InputSpec, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    shape = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)
    values = _values(spec, shape, rng)
    if spec.is_masked and len(shape) > 1:
        _pad_right(values, rng)
    return values


def _values(spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if spec.ids_below is None and spec.dtype in _FLOATS:
        return rng.standard_normal(shape).astype(spec.dtype)
    if spec.dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    # Keras' default input dtype is float32, also where an embedding reads the values as ids.
    if spec.dtype in _INTEGERS or spec.dtype in _FLOATS:
        below = _largest_id(spec) + 1
        return rng.integers(min(1, below - 1) if spec.is_masked else 0, below, shape).astype(spec.dtype)
    raise BadInput(
        f"input {spec.name!r} has dtype {spec.dtype}, for which no cases are drawn: give real samples instead"
    )


def _largest_id(spec: InputSpec) -> int:
    below = spec.ids_below or (_PIXELS_BELOW if spec.dtype == "uint8" else _INTEGERS_BELOW)
    return below - 1 if spec.dtype in _FLOATS else min(below - 1, int(np.iinfo(spec.dtype).max))


def _pad_right(values: np.ndarray, rng: np.random.Generator) -> None:
    """Zero the end of each row of `(batch, time, ...)` in place, past a random valid length of at least 1."""
    batch, steps = values.shape[:2]
    valid = rng.integers(1, steps + 1, batch)
    values[np.arange(steps) >= valid[:, None]] = 0
