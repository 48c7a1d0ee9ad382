"""Seeded inputs that try to break a model, drawn from its recorded signature."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from pipeline.errors import BadInput
from pipeline.records import REPORTED_KINDS, AxisRule, InputSpec, Signature

# Raised whenever the same seed would give other values, because frozen cases may be kept as a seed alone.
GENERATOR_VERSION = 3

# Free axes other than `batch` run from the shortest that the model takes to four times that: from 3, long enough for
# padding to matter and short enough for a loop to be quick.
_LONGEST_IN_SHORTEST = 4
_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_INTEGERS_BELOW = 10
_PIXELS_BELOW = 256  # an unsigned byte is a pixel
_TRUTHS = 2  # an integer that is below is a truth value


RANDOM = "random"

# Kinds of cases beside random ones, and what they do to the inputs that they fit; the others stay random.
_SCALES = {f"scaled {scale:g}": scale for scale in (1e-6, 1e-3, 1e3, 1e6)}
_FLOAT_KINDS = (*_SCALES, "zeros", "one hot")
_ID_KINDS = ("smallest ids", "largest ids")
_PADDED = ("padded left", "padded between")
_PADDINGS = (*_PADDED, "not padded", "rows of padding")
# Kinds of which one row says half: a row that is all padding, beside one that is not.
SEVERAL_SENSES = ("rows of padding",)
LONGEST = "longest"
_LENGTHS = ("shortest", LONGEST)
_ORDERS = ("rising lengths", "falling lengths")
# How many times the shortest free axes are in such a case: the first of these that the plan affords.
LONGEST_TIMES = (16, 8, 4)


def kinds(signature: Signature) -> tuple[str, ...]:
    """The kinds of cases that fit a signature, random ones first."""
    inputs = signature.inputs
    found = [RANDOM]
    if any(_is_float(spec) for spec in inputs):
        found += _FLOAT_KINDS
    if any(_has_ids(spec) for spec in inputs):
        found += _ID_KINDS
    if any(_has_padding(spec) for spec in inputs):
        found += _PADDINGS
    free = free_axes(signature)
    found += _LENGTHS if free else ()
    found += _ORDERS if len(free) > 1 else ()
    return tuple(found)


def kinds_by_signature(signature: Signature) -> tuple[str, ...]:
    """Those of them whose inputs depend on what a signature admits: ids, padding, lengths."""
    return tuple(kind for kind in kinds(signature) if kind != RANDOM and kind not in _FLOAT_KINDS)


def reported_kinds(signature: Signature) -> tuple[str, ...]:
    """The kinds of cases that fit a signature and are reported, not judged."""
    return REPORTED_KINDS if any(_is_float(spec) for spec in signature.inputs) else ()


def free_axes(signature: Signature) -> tuple[str, ...]:
    """The names of the axes that have no fixed size, but for the batch."""
    named = {axis: None for spec in signature.inputs for axis in spec.shape if isinstance(axis, str)}
    return tuple(axis for axis in named if axis != "batch")


def usual_size(signature: Signature) -> int:
    """What a free axis has in random cases on average: that of which it is most, 1 where there are no free axes."""
    return max((lengths.usual for lengths in _lengths(signature).values()), default=1)


def longest_size(signature: Signature, times: int) -> int:
    """The same where free axes are so many times the shortest."""
    return max((lengths.times(times) for lengths in _lengths(signature).values()), default=1)


def generate(
    signature: Signature,
    batch: int,
    seed: int,
    kind: str = RANDOM,
    longest_times: int = LONGEST_TIMES[0],
    sizes: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """One case: an array for every input, in input order; the same for the same arguments.

    Floats are standard normal, ids uniform within the input's bounds, other integers small. Every free axis but `batch`
    gets one size wherever its name occurs, one that its rule admits. Masks of zeros and ones have a one in each row. A
    masked input `(batch, time, ...)` is padded on the right with zeros after at least one valid step, and its valid ids
    are never 0. A kind other than `random` changes that:

    - `scaled S`, `zeros`, `one hot`: floats times S, all 0, or 0 but for a 1 in each row of the last axis;
    - `not a number`, `infinite`: about one float in eight is NaN, or infinite with its own sign;
    - `denormal`: floats times 16 of the smallest numbers that their dtype has;
    - `smallest ids`, `largest ids`: every id (or other integer) the same, of those that are valid;
    - `padded left`, `padded between`, `not padded`, `rows of padding`: where the padding of masked inputs lies; in the
      last every other row has no valid step at all;
    - `shortest`, `longest`: the free axes, from the shortest that the model takes to `longest_times` that, or to the
      longest that it takes;
    - `rising lengths`, `falling lengths`: each free axis one longer, or one shorter, than the one before it.

    `sizes` are those of free axes that are given in place of drawn ones.

    Raises:
        BadInput: for an empty batch, a kind that is not known, or an input of a dtype for which nothing is drawn
            (bfloat16, strings).
    """
    if batch < 1:
        raise BadInput(f"a case of batch {batch} was asked for: the smallest batch is 1")
    if kind not in (RANDOM, *_FLOAT_KINDS, *REPORTED_KINDS, *_ID_KINDS, *_PADDINGS, *_LENGTHS, *_ORDERS):
        raise BadInput(f"no cases of kind {kind!r} are drawn: they come from another version, freeze the truth again")
    rng = np.random.default_rng((seed, batch))
    whole = _axis_sizes(signature, batch, rng, kind, longest_times) | dict(sizes)
    return {spec.name: _draw(spec, whole, rng, kind) for spec in signature.inputs}


def elements(
    signature: Signature, batch: int, seed: int, kind: str = RANDOM, longest_times: int = LONGEST_TIMES[0]
) -> int:
    """How many elements the inputs of a case have, told without drawing them."""
    sizes = _axis_sizes(signature, batch, np.random.default_rng((seed, batch)), kind, longest_times)
    return sum(math.prod(_shape(spec, sizes)) for spec in signature.inputs)


def sha256_of(feed: Mapping[str, np.ndarray]) -> str:
    """A digest of arrays: their names, dtypes, shapes and elements, in their order."""
    sha = hashlib.sha256()
    for name, array in feed.items():
        sha.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def _lengths(signature: Signature) -> dict[str, _Lengths]:
    return {axis: _Lengths(signature.rule(axis), signature.shortest_axis) for axis in free_axes(signature)}


def _axis_sizes(
    signature: Signature, batch: int, rng: np.random.Generator, kind: str, longest_times: int
) -> dict[str, int]:
    ranges = _lengths(signature)
    sizes = {"batch": batch, **{axis: lengths.drawn(rng) for axis, lengths in ranges.items()}}
    if kind in _LENGTHS:
        times = longest_times if kind == LONGEST else 1
        sizes |= {axis: lengths.times(times) for axis, lengths in ranges.items()}
    elif kind in _ORDERS:
        # A model may read no further than the shorter of two axes that have to agree: only one order shows it.
        order = list(ranges)[:: 1 if kind == _ORDERS[0] else -1]
        sizes |= {axis: ranges[axis].longer_by(number) for number, axis in enumerate(order)}
    return sizes


class _Lengths:
    """The sizes at which an axis is tried: those that its rule admits, from the shortest at which the model ran."""

    def __init__(self, rule: AxisRule, shortest: int) -> None:
        self._rule, self._step = rule, rule.multiple
        self._most = None if rule.most is None else rule.rounded_down(rule.most)
        self._shortest = self._admitted(rule.rounded_up(max(rule.least, shortest)))

    def _admitted(self, size: int) -> int:
        return size if self._most is None else min(size, self._most)

    def drawn(self, rng: np.random.Generator) -> int:
        longest = self.times(_LONGEST_IN_SHORTEST)
        steps = int(rng.integers(self._shortest // self._step, longest // self._step + 1))
        return self._step * steps + self._rule.remainder

    @property
    def usual(self) -> int:
        return (self._shortest + self.times(_LONGEST_IN_SHORTEST)) // 2

    def times(self, factor: int) -> int:
        return self._admitted(self._rule.rounded_up(factor * self._shortest))

    def longer_by(self, steps: int) -> int:
        return self._admitted(self._shortest + steps * self._step)


def _shape(spec: InputSpec, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)


def _draw(spec: InputSpec, sizes: dict[str, int], rng: np.random.Generator, kind: str) -> np.ndarray:
    values = _values(spec, _shape(spec, sizes), rng)
    if _is_float(spec) and kind in (*_FLOAT_KINDS, *REPORTED_KINDS):
        values = _of_float_kind(values, kind, rng)
    if spec.ids_at is not None:
        places = [place for place in spec.ids_at if place < values.shape[-1]]
        values[..., places] = _ids(spec, (*values.shape[:-1], len(places)), rng)
    if kind in _ID_KINDS and _has_ids(spec):
        where = ... if spec.ids_at is None else (..., list(spec.ids_at))
        values[where] = _largest_id(spec) if kind == "largest ids" else _smallest_id(spec)
    if _has_padding(spec):
        _pad(values, rng, kind)
    return values


def _is_float(spec: InputSpec) -> bool:
    """Whether any number may be fed somewhere; not where ids come as floating-point numbers."""
    return spec.dtype in _FLOATS and (spec.ids_below is None or spec.ids_at is not None)


def _has_ids(spec: InputSpec) -> bool:
    return spec.dtype != "bool" and (not _is_float(spec) or spec.ids_at is not None)


def _has_padding(spec: InputSpec) -> bool:
    return spec.is_masked and len(spec.shape) > 1


def _of_float_kind(values: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind in _SCALES:
        # No further than the dtype goes: what overflows before the model sees it says nothing of the model.
        scale = min(_SCALES[kind], float(np.finfo(values.dtype).max) / 16)
        return np.asarray(values * np.asarray(scale, values.dtype), values.dtype)
    if kind == "denormal":
        return np.asarray(values * (16 * np.finfo(values.dtype).smallest_subnormal), values.dtype)
    if kind in REPORTED_KINDS:
        odd = np.full_like(values, np.nan) if kind == "not a number" else np.copysign(np.inf, values)
        return np.where(rng.integers(0, 8, values.shape) == 0, odd, values).astype(values.dtype)
    zeros = np.zeros_like(values)
    if kind == "one hot" and values.ndim and values.shape[-1]:
        hot = rng.integers(0, values.shape[-1], values.shape[:-1])
        np.put_along_axis(zeros, hot[..., None], 1, axis=-1)
    return zeros


def _values(spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if _is_float(spec):
        return rng.standard_normal(shape).astype(spec.dtype)
    if spec.dtype == "bool":
        return _with_some(rng.integers(0, 2, shape).astype(np.bool_))
    # Keras' default input dtype is float32, also where an embedding reads the values as ids.
    if spec.dtype in _INTEGERS or spec.dtype in _FLOATS:
        ids = _ids(spec, shape, rng)
        return _with_some(ids) if spec.dtype in _INTEGERS and spec.ids_below == _TRUTHS and not spec.is_masked else ids
    raise BadInput(
        f"input {spec.name!r} has dtype {spec.dtype}, for which no cases are drawn: give real samples instead"
    )


def _with_some(mask: np.ndarray) -> np.ndarray:
    """A mask of zeros and ones with a one at least in each row, so that something counts.

    What a model answers where nothing does is no ordinary case: scores to which -1e9 is added are all lost in float32,
    and in float64 they are not.
    """
    axes = [axis for axis in range(1, mask.ndim) if mask.shape[axis] > 1]
    if axes:
        rows = np.moveaxis(mask, axes[-1], -1)
        rows[..., 0] |= ~rows.any(axis=-1)
    return mask


def _ids(spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Integers that are valid; where numbers between them have a meaning, every other one of those, about."""
    ids = rng.integers(_smallest_id(spec), _largest_id(spec) + 1, shape).astype(spec.dtype)
    if not spec.ids_between:
        return ids
    between = rng.uniform(_smallest_id(spec), _largest_id(spec), shape)
    return np.where(rng.integers(0, 2, shape) == 0, ids, between).astype(spec.dtype)


def _smallest_id(spec: InputSpec) -> int:
    """The smallest id that is valid: where there is a mask 0 is padding, unless it is the only id."""
    return min(max(spec.ids_from, 1 if spec.is_masked else 0), _largest_id(spec))


def _largest_id(spec: InputSpec) -> int:
    below = spec.ids_below or (_PIXELS_BELOW if spec.dtype == "uint8" else _INTEGERS_BELOW)
    return below - 1 if spec.dtype in _FLOATS else min(below - 1, int(np.iinfo(spec.dtype).max))


def _pad(values: np.ndarray, rng: np.random.Generator, kind: str) -> None:
    """Zero the padding of `(batch, time, ...)` in place; but for rows of padding each has a valid step."""
    batch, steps = values.shape[:2]
    valid = rng.integers(1, steps + 1, batch)
    if kind in _PADDED and steps > 1:
        valid[0] = min(valid[0], steps - 1)  # one row is padded at least
    counts = np.arange(steps) < valid[:, None]
    if kind == "not padded":
        counts[...] = True
    elif kind == "padded left":
        counts = counts[:, ::-1]
    elif kind == "padded between":
        counts = rng.permuted(counts, axis=1)
    elif kind == "rows of padding":
        counts[::2] = False
    values[~counts] = 0
