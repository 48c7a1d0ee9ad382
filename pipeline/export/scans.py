"""`ops.scan` traced as a loop that ONNX has: what is carried is carried, not kept in an array of one element."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from keras import tree
from keras.src.backend.tensorflow import core

from pipeline.graph.patching import replaced


@contextlib.contextmanager
def carried_scans() -> Iterator[None]:
    """While it lasts, `ops.scan` is traced so: Keras writes the carry into a `TensorArray` in every round.

    tf2onnx takes whatever a loop writes into an array for one of its stacked results.
    """
    with replaced(core, "scan", _scan):
        yield


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
