"""`ops.scan` traced as a loop that ONNX has: what is carried is carried, not kept in an array of one element.

So are the loops of TensorFlow's CTC loss, of which no two fit in one graph: their bodies bear one name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from keras import tree
from keras.src.backend.tensorflow import core
from tensorflow.python.ops import ctc_ops

from pipeline.graph.patching import replaced


@contextlib.contextmanager
def carried_scans() -> Iterator[None]:
    """While it lasts, `ops.scan` is traced so: Keras writes the carry into a `TensorArray` in every round.

    tf2onnx takes whatever a loop writes into an array for one of its stacked results.
    """
    with replaced(core, "scan", _scan), replaced(ctc_ops, "_scan", _accumulated):
        yield


def _accumulated(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initial: Any,
    reverse: bool = False,
    inclusive: bool = False,
    final_only: bool = False,
) -> Any:
    """As TensorFlow's own: `fn(accumulated, element)` after each element, with `inclusive` also before the first."""

    def step(accumulated: Any, element: Any) -> tuple[Any, Any]:
        changed = fn(accumulated, element)
        return changed, changed

    final, stacked = _scan(step, initial, elems, reverse=reverse)
    if final_only or not inclusive:
        return final if final_only else stacked

    def joined(before: Any, after: Any) -> Any:
        parts = [tf.convert_to_tensor(before)[None], after]
        return tf.concat(parts[::-1] if reverse else parts, 0)

    return tree.map_structure(joined, initial, stacked)


def _scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """As Keras' own: what is carried in the end, and the results of the rounds, stacked along a first axis."""
    given = [tf.convert_to_tensor(leaf) for leaf in tree.flatten(xs)] if xs is not None else []
    carried = [tf.convert_to_tensor(leaf) for leaf in tree.flatten(init)]
    rounds = int(length) if length is not None else tf.shape(given[0])[0]
    in_turn = [tf.reverse(leaf, [0]) if reverse else leaf for leaf in given]
    read = [tf.TensorArray(leaf.dtype, rounds, element_shape=leaf.shape[1:]).unstack(leaf) for leaf in in_turn]
    written = [tf.TensorArray(leaf.dtype, rounds, element_shape=leaf.shape) for leaf in carried]

    def packed(structure: Any, leaves: list[Any]) -> Any:
        return tree.pack_sequence_as(structure, leaves) if tree.is_nested(structure) else leaves[0]

    def body(index: Any, carry: list[Any], results: list[Any]) -> tuple[Any, list[Any], list[Any]]:
        element = packed(xs, [array.read(index) for array in read]) if read else None
        changed, result = f(packed(init, carry), element)
        carry = carry if changed is None else [tf.convert_to_tensor(leaf) for leaf in tree.flatten(changed)]
        # Keras stacks zeros where a round has no result.
        leaves = [tf.zeros_like(leaf) for leaf in carry] if result is None else tree.flatten(result)
        return index + 1, carry, [array.write(index, leaf) for array, leaf in zip(results, leaves, strict=True)]

    _, carried, written = tf.while_loop(lambda index, *_: index < rounds, body, (0, carried, written))
    stacked = [array.stack() for array in written]
    stacked = [tf.reverse(leaf, [0]) if reverse else leaf for leaf in stacked]
    for leaf in stacked:
        leaf.set_shape([given[0].shape[0] if given else rounds, *leaf.shape[1:]])
    return packed(init, carried), packed(init, stacked)
