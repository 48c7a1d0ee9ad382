"""Which elements of an answer floating-point numbers leave open.

An index, a count or a truth value is a decision over floating-point numbers. Where two of those are equal but for noise
(`top_k` of scores that a sigmoid has closed), Keras in float32, Keras in float64 and any artifact may decide otherwise,
and all are right. So an integer or boolean element is judged where it is decided: where the float64 answer, the float64
answers under noise and Keras' float32 answer all agree.

What is chosen by an open decision is open too. It shows where a row of a float output, in which an integer output has
an open element, jumps under the same noise: it moves by more than noise alone ever makes it. Such a row is not judged.
A choice of which no output tells (an index that stays inside the model) shows as noise, and widens the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.records import Signature, TensorSpec
from pipeline.truth.trial import static_batch

Arrays = Mapping[str, np.ndarray]

# Noise of some units moves an output by some millionths of its scale, another choice by much of it.
JUMP = 1e-3


def open_elements(signature: Signature, exact: Arrays, others: Iterable[Arrays]) -> dict[str, np.ndarray]:
    """The elements that are left open, as booleans of each output's shape; only of outputs that have any.

    Args:
        signature: of the model.
        exact: the answers of the float64 model.
        others: those under noise, and Keras' own float32 ones.
    """
    drawn = list(others)
    decided = [spec for spec in signature.outputs if not _is_float(spec) and spec.name in exact]
    found = {spec.name: _differing(exact[spec.name], [each[spec.name] for each in drawn]) for spec in decided}
    found = {name: mask for name, mask in found.items() if mask.any()}
    first = _first_axis(signature)
    rows = [_rows(spec, found[spec.name], first) for spec in decided if spec.name in found]
    if not rows:
        return {}
    for spec in signature.outputs:
        if _is_float(spec) and spec.name in exact:
            mask = _jumping(spec, exact[spec.name], [each[spec.name] for each in drawn], rows, first)
            if mask.any():
                found[spec.name] = mask
    return found


def packed(mask: np.ndarray) -> np.ndarray:
    """A mask as it is kept: a bit for each element."""
    return np.packbits(mask.reshape(-1))


def _is_float(spec: TensorSpec) -> bool:
    return np.issubdtype(np.dtype(spec.dtype), np.floating)


def _differing(exact: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    mask = np.zeros(exact.shape, bool)
    for other in others:
        mask |= np.ones(exact.shape, bool) if other.shape != exact.shape else other != exact
    return mask


def _first_axis(signature: Signature) -> int | str:
    """What the first axis of an output is that has a row for each of the batch.

    A batch that is fixed has no name: its size tells, if every output begins with it.
    """
    fixed = static_batch(signature)
    return fixed if fixed is not None and all(spec.shape[:1] == (fixed,) for spec in signature.outputs) else "batch"


def _rows(spec: TensorSpec, mask: np.ndarray, first: int | str) -> np.ndarray | None:
    """Which rows of the batch have an open element; None where the output has no rows: then all have."""
    if spec.shape[:1] != (first,):
        return None
    return np.asarray(mask.reshape(len(mask), -1).any(axis=1))


def _jumping(
    spec: TensorSpec,
    exact: np.ndarray,
    others: list[np.ndarray],
    rows: list[np.ndarray | None],
    first: int | str,
) -> np.ndarray:
    """The rows of a float output that jump where one of the integer outputs' rows is open."""
    has_rows = spec.shape[:1] == (first,)
    count = len(exact) if has_rows else 1
    is_open = np.zeros(count, bool)
    for each in rows:
        is_open |= each if has_rows and each is not None and len(each) == count else True
    if any(other.shape != exact.shape for other in others):
        return np.ones(exact.shape, bool)
    wide = exact.astype(np.float64).reshape(count, -1)
    finite = np.isfinite(wide)
    scale = np.max(np.abs(wide), initial=0.0, where=finite)
    moves = np.zeros(count)
    for other in others:
        found = other.astype(np.float64).reshape(count, -1)
        with np.errstate(invalid="ignore", over="ignore"):
            move = np.where(finite & np.isfinite(found), np.abs(found - wide), np.where(found == wide, 0.0, np.inf))
        moves = np.maximum(moves, np.max(np.where(np.isnan(found) & np.isnan(wide), 0.0, move), axis=1, initial=0.0))
    jumps = is_open & (moves > JUMP * scale)
    return np.broadcast_to(jumps.reshape(count, *[1] * (exact.ndim - 1)) if has_rows else jumps[0], exact.shape)
