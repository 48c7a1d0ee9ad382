"""Conditions that are known while tracing, decided there; a choice between several as choices between two."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.graph.patching import replaced


@contextlib.contextmanager
def decided_conditions() -> Iterator[None]:
    """While it lasts, `tf.cond` on what TensorFlow can compute from constants traces the branch that is taken.

    What goes into a branch is no constant there: in `ops.associative_scan` an axis, which ONNX has to know.
    """
    original = tf.cond

    def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
        known = tf.get_static_value(pred)
        if known is None or true_fn is None or false_fn is None:
            return original(pred, true_fn, false_fn, name)
        return tf.nest.map_structure(_as_tensor, true_fn() if known else false_fn())

    with replaced(tf, "cond", cond), replaced(tf, "switch_case", _switched):
        yield


def _switched(branch_index: Any, branch_fns: Any, default: Any = None, name: str | None = None) -> Any:
    """`tf.switch_case` as conditions in conditions: ONNX chooses between two branches only."""
    pairs = list(branch_fns.items() if isinstance(branch_fns, dict) else branch_fns)
    numbered = list(enumerate(pairs)) if callable(pairs[0]) else sorted(pairs, key=lambda pair: pair[0])
    if default is None:
        default = numbered.pop()[1]  # the last one, also where the index is out of range
    for number, branch in reversed(numbered):
        default = functools.partial(tf.cond, tf.equal(branch_index, number), branch, default)
    return default()


def _as_tensor(leaf: Any) -> Any:
    """What a condition makes of a leaf that a branch gives; operations and None stay."""
    is_value = isinstance(leaf, bool | int | float | np.ndarray | np.generic | tf.Variable)
    return tf.convert_to_tensor(leaf) if is_value else leaf
