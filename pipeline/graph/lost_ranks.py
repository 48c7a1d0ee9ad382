"""Telling a backend the shapes that Keras knows of a model's inside and it does not.

TensorFlow loses even the rank of what a `tensordot` over axes in a tensor gives (`ops.average` with weights), or of a
loop's result. Layers behind it, signatures and converters need one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from keras import tree

from pipeline.graph.scopes import with_results

Shape = tuple[int | None, ...]


@contextlib.contextmanager
def restored_ranks() -> Iterator[None]:
    """While it lasts, a tensor of unknown rank that an operation of a functional model gives gets Keras' shape."""

    def restore(operation: Any, result: Any) -> None:
        for number, tensor in enumerate(tree.flatten(result)):
            if _is_of_unknown_rank(tensor):
                tensor.set_shape(_known_shape(operation, number))

    with with_results(restore):
        yield


def _is_of_unknown_rank(tensor: Any) -> bool:
    return hasattr(tensor, "set_shape") and getattr(tensor.shape, "rank", 0) is None


def _known_shape(operation: Any, number: int) -> Shape | None:
    """What holds of an output at every call of the operation, None where not even the rank does."""
    calls = (node.output_tensors for node in operation._inbound_nodes)
    shapes = [tuple(outputs[number].shape) for outputs in calls if number < len(outputs)]
    if len({len(shape) for shape in shapes}) != 1:
        return None
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))
