"""A user's own inputs: real rows that a model runs on, for where drawn ones do not do.

They come as an `.npz` archive or as arrays. Nothing is unpickled and nothing is cast: whatever does not fit is one line
that says what was found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pipeline.array_archive import opened
from pipeline.errors import BadInput, one_line
from pipeline.records import InputSpec, Signature

_MOST_TASK_ROWS = 257  # of a task's held-out data: as many as the largest batch that is planned
_HOW_TO_SAVE = "save it by numpy.savez(FILE, NAME=array, ...)"
_KINDS = {"f": "floating-point numbers", "i": "integers", "u": "integers", "b": "booleans"}


@dataclass(frozen=True)
class Samples:
    """Real inputs that fit a signature.

    Attributes:
        inputs: an array for every input, in input order, rows first.
        rows: how many there are.
    """

    inputs: Mapping[str, np.ndarray]
    rows: int

    def longest_axis(self, signature: Signature) -> int:
        """The size of the longest axis that is free in a signature, but for the batch; 1 without any."""
        shapes = [(spec.shape, self.inputs[spec.name].shape) for spec in signature.inputs]
        pairs = [pair for names, sizes in shapes for pair in list(zip(names, sizes, strict=True))[1:]]
        return max((size for axis, size in pairs if isinstance(axis, str)), default=1)

    def first(self, rows: int) -> dict[str, np.ndarray]:
        """The first rows of every input; an input without a batch (of rank 0) is as it is."""
        return {name: array[:rows] if array.ndim else array for name, array in self.inputs.items()}


def load_samples(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` archive, by name.

    Raises:
        BadInput: if there is none, it can't be read as one, holds Python objects or is larger than a gibibyte.
    """
    if not path.is_file():
        raise BadInput(f"--samples {path} doesn't exist or is not a file: {_HOW_TO_SAVE}")
    if path.suffix != ".npz":
        raise BadInput(f"--samples {path} is not an .npz archive, which has a name for each array: {_HOW_TO_SAVE}")
    with opened(path) as archive:
        return {name: archive[name] for name in archive.names()}


def fitting_samples(samples: Mapping[str, ArrayLike], signature: Signature) -> Samples:
    """The samples in input order, once every one of them fits.

    Args:
        samples: arrays by input name, `(rows, ...)`.
        signature: of the model. Where it fixes the batch, that many rows must be there.

    Raises:
        BadInput: for no samples at all or no rows, missing or unknown names, other dtypes or shapes, unlike numbers of
            rows, sizes of free axes that disagree or that the model does not take, NaN and infinities.
    """
    _refuse_names(samples, signature)
    arrays = {spec.name: _fitting(spec, samples[spec.name]) for spec in signature.inputs}
    rows = _rows(signature, arrays)
    _refuse_sizes(signature, arrays)
    for name, array in arrays.items():
        _refuse_odd_numbers(name, array)
    return Samples(arrays, rows)


def task_rows(held_out: Mapping[str, ArrayLike], signature: Signature) -> dict[str, np.ndarray]:
    """The first rows of a task's data that hold finite numbers alone, in the dtypes of the inputs.

    Args:
        held_out: arrays by input name, rows first; what is no input is left out.
        signature: of the model. Where it fixes the batch, so many rows are taken if they are there.

    Raises:
        BadInput: if an input is missing, holds no numbers, or has another number of rows than the others; if no row is
            finite.
    """
    missing = [spec.name for spec in signature.inputs if spec.name not in held_out]
    if missing:
        raise BadInput(f"they hold no {missing[0]!r}")
    given = {spec.name: np.asarray(held_out[spec.name]) for spec in signature.inputs}
    with_rows = {name: array for name, array in given.items() if array.ndim}
    if len({len(array) for array in with_rows.values()}) > 1:
        told = " and ".join(f"{len(array)} of {name!r}" for name, array in with_rows.items())
        raise BadInput(f"they have unlike numbers of rows, {told}")
    try:
        finite = [np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in with_rows.values()]
        rows = np.flatnonzero(np.logical_and.reduce(finite))[: max(_MOST_TASK_ROWS, *_fixed_batches(signature))]
        cast = {spec.name: _taken(given[spec.name], rows).astype(spec.dtype) for spec in signature.inputs}
    except (TypeError, ValueError) as error:
        raise BadInput(f"they are no arrays of numbers: {one_line(error)}") from error
    if with_rows and not rows.size:
        raise BadInput("no row of them holds finite numbers alone")
    return cast


def _taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return array[rows] if array.ndim else array


def _fixed_batches(signature: Signature) -> list[int]:
    firsts = [spec.shape[0] for spec in signature.inputs if spec.shape]
    return [size for size in firsts if isinstance(size, int)] or [0]


def _refuse_names(samples: Mapping[str, ArrayLike], signature: Signature) -> None:
    names = [spec.name for spec in signature.inputs]
    known = f"the inputs are {', '.join(names)}"
    if not isinstance(samples, Mapping):
        raise BadInput(f"samples are a {type(samples).__name__}, not arrays by name: give {{name: array}} ({known})")
    if not samples:
        raise BadInput(f"samples hold no arrays: give one for each input ({known})")
    for name in samples:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"samples hold {name!r}, which is no input{hint} ({known})")
    missing = [name for name in names if name not in samples]
    if missing:
        raise BadInput(f"samples hold no {missing[0]!r}: give an array for each input ({known})")


def _fitting(spec: InputSpec, value: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BadInput(f"samples of {spec.name!r} are not an array: {one_line(error)}") from error
    _refuse_dtype(spec, array)
    if not spec.model_copy(update={"shape": _any_rows(spec)}).accepts(array.shape):
        expected = ", ".join(["rows", *map(str, spec.shape[1:])]) if spec.shape else ""
        raise BadInput(f"samples of {spec.name!r} have shape {array.shape}, expected ({expected})")
    return np.ascontiguousarray(array) if array.ndim else array


def _refuse_dtype(spec: InputSpec, array: np.ndarray) -> None:
    if array.dtype.name == spec.dtype and array.dtype.isnative:
        return
    found = array.dtype.name if array.dtype.isnative else f"{array.dtype.name} of foreign byte order"
    told = f"samples of {spec.name!r} have dtype {found}, the input takes {spec.dtype}"
    of_one_kind = array.dtype.kind in _KINDS and _KINDS[array.dtype.kind] == _KINDS.get(_kind(spec.dtype))
    if not of_one_kind:
        raise BadInput(f"{told}: give {_KINDS.get(_kind(spec.dtype), spec.dtype)}, as the model is fed")
    if array.dtype.kind in "iu" and array.size and not _holds(spec.dtype, array):
        raise BadInput(f"{told}, which does not hold {array.min()} to {array.max()}: give the values that it is fed")
    raise BadInput(f"{told}: convert them with .astype({spec.dtype!r})")


def _kind(dtype: str) -> str:
    return "f" if dtype == "bfloat16" else np.dtype(dtype).kind


def _holds(dtype: str, array: np.ndarray) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= int(array.min()) and int(array.max()) <= limits.max


def _any_rows(spec: InputSpec) -> tuple[int | str, ...]:
    """The shape with any number of rows: where it fixes the batch, as many are taken of what is there."""
    return ("batch", *spec.shape[1:]) if spec.shape else ()


def _rows(signature: Signature, arrays: Mapping[str, np.ndarray]) -> int:
    counts = {name: len(array) for name, array in arrays.items() if array.ndim}
    first, rows = next(iter(counts.items()), ("", 1))
    for name, count in counts.items():
        if count != rows:
            raise BadInput(f"samples have {rows} rows of {first!r} and {count} of {name!r}: give as many of each")
    if not rows:
        raise BadInput(f"samples of {first!r} have no rows: give at least one")
    for spec in signature.inputs:
        fixed = spec.shape[0] if spec.shape else 0
        if isinstance(fixed, int) and fixed > rows:
            raise BadInput(f"samples have {rows} rows, the model takes {fixed} of {spec.name!r} at once: give as many")
    return rows


def _refuse_sizes(signature: Signature, arrays: Mapping[str, np.ndarray]) -> None:
    first: dict[str, tuple[str, int]] = {}
    for spec in signature.inputs:
        for axis, size in list(zip(spec.shape, arrays[spec.name].shape, strict=True))[1:]:
            if not isinstance(axis, str):
                continue
            name, expected = first.setdefault(axis, (spec.name, size))
            if size != expected:
                where = f"{expected} in {name!r} and {size} in {spec.name!r}"
                raise BadInput(f"samples disagree: axis {axis!r} is {where}: it must have one size")
            refusal = signature.rule(axis).refusal(size)
            if refusal is not None:
                raise BadInput(f"samples of {spec.name!r} have {size} along axis {axis!r}: {refusal}")


def _refuse_odd_numbers(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    odd = ~np.isfinite(array)
    if odd.any():
        where = f" in row {int(np.argwhere(odd)[0][0])}" if array.ndim else ""
        raise BadInput(f"samples of {name!r} hold NaN or an infinity{where}: leave such rows out")
