"""Outputs whose size no input has: what depends on the numbers that are fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.errors import BadInput
from pipeline.records import Signature
from pipeline.truth.trial import static_batch

WAY_OUT = (
    "give it a size that follows from the inputs' (in place of boolean_mask and indices a mask: "
    "keras.ops.where(mask, x, 0); size=... for unique), or do it outside the model"
)
_UNKNOWN = "the numbers fed decide its size, or a layer does not say it (compute_output_shape)"


def refuse_own_sizes(
    signature: Signature,
    feed: Mapping[str, np.ndarray],
    answers: Mapping[str, np.ndarray],
    origin: Callable[[], str | None] = lambda: None,
) -> None:
    """Refuse an output that is not as large as its shape says: numbers tell how large it is (`ops.nonzero`, `unique`).

    No two runtimes could be compared on it: a number that rounding tips would make the output another one.

    Args:
        signature: the model's.
        feed: what was fed.
        answers: what came out.
        origin: tells which call site is the reason, if that can be found.

    Raises:
        BadInput: with the call site, the output and the way out.
    """
    sizes: dict[str, int] = {"batch": static_batch(signature) or 0}
    for given in signature.inputs:
        array = feed[given.name]
        sizes |= {axis: array.shape[place] for place, axis in enumerate(given.shape) if isinstance(axis, str)}
    for output in signature.outputs:
        found = answers[output.name].shape
        told = tuple(sizes.get(axis) if isinstance(axis, str) else axis for axis in output.shape)
        if len(told) == len(found) and all(size in (None, seen) for size, seen in zip(told, found, strict=True)):
            continue
        seen = f"output '{output.name}' has shape {list(found)} where {list(output.shape)} was expected"
        raise BadInput(f"{seen}: {origin() or _UNKNOWN}, and no two runtimes can be compared; {WAY_OUT}")
