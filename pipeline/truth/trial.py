"""Finding inputs that a model runs on, where its signature alone does not tell.

Two free axes may have to agree (the sum of two sequences), a free axis may have to be longer than a few steps (strided
convolutions), ids may be bounded by a table that no graph shows (an embedding inside a custom layer). Keras says none
of this; it is found by trying.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

import keras

from pipeline.errors import BadInput, one_line
from pipeline.records import InputSpec, Signature
from pipeline.truth.signature import output_shapes

Ran = TypeVar("Ran")

# Shortest sizes of free axes to try; the last is what image models are made for.
_SHORTEST_AXES = (3, 16, 64, 224)


def first_that_runs(model: keras.Model, signature: Signature, run: Callable[[Signature], Ran]) -> tuple[Signature, Ran]:
    """The signature with the narrowest promises under which the model runs on drawn inputs, and what the run gave.

    Args:
        model: whose embeddings bound ids that the graph does not bound.
        signature: as read off the model.
        run: draws inputs from a signature and runs the model on them.

    Raises:
        BadInput: if it runs under none; the message has what it said to the first.
    """
    first_error: Exception | None = None
    for candidate in candidates(model, signature):
        try:
            return candidate, run(candidate)
        except BadInput:
            raise
        except Exception as error:  # noqa: BLE001 - the model's own code refuses these inputs, in any way it likes
            first_error = first_error or error
    assert first_error is not None
    raise BadInput(
        f"the model does not run on inputs drawn from its signature: {one_line(first_error)}; "
        "give static shapes to its inputs, or check that it runs at all"
    ) from first_error


def static_batch(signature: Signature) -> int | None:
    """The batch size that an input fixes, if one does; 1 where none has a batch."""
    firsts = [spec.shape[0] for spec in signature.inputs if spec.shape]
    return next((size for size in firsts if isinstance(size, int)), 1) if "batch" not in firsts else None


def candidates(model: keras.Model, signature: Signature) -> Iterator[Signature]:
    """Signatures to try, the one with the narrowest promises last."""
    free = {axis for spec in signature.inputs for axis in spec.shape if isinstance(axis, str) and axis != "batch"}
    sizes = _SHORTEST_AXES if free else _SHORTEST_AXES[:1]
    mergings = (False, True) if len(free) > 1 else (False,)
    for shortest, is_merged, bound in itertools.product(sizes, mergings, _bounds(model, signature)):
        changed = _merged(model, signature) if is_merged else signature
        inputs = tuple(_bounded(spec, bound) for spec in changed.inputs)
        yield changed.model_copy(update={"inputs": inputs, "shortest_axis": shortest})


def _bounds(model: keras.Model, signature: Signature) -> tuple[int | None, ...]:
    """Bounds to try for integers that no embedding in the graph bounds: none, then that of the smallest table."""
    is_open = any("int" in spec.dtype for spec in signature.inputs)
    tables = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    return (None, min(tables), max(1, min(tables) // 2)) if is_open and tables else (None,)


def _bounded(spec: InputSpec, bound: int | None) -> InputSpec:
    if bound is None or "int" not in spec.dtype:
        return spec
    return spec.model_copy(update={"ids_below": min(bound, spec.ids_below or bound)})


def _merged(model: keras.Model, signature: Signature) -> Signature:
    """One name for the free axes of one kind (`left_time` and `right_time` become `time`): they have to agree."""
    inputs = tuple(
        spec.model_copy(update={"shape": tuple(_kind(axis) if isinstance(axis, str) else axis for axis in spec.shape)})
        for spec in signature.inputs
    )
    shapes = output_shapes(model, inputs, tuple(spec.name for spec in signature.outputs))
    outputs = []
    for spec, shape in zip(signature.outputs, shapes, strict=True):
        known = tuple(new if isinstance(old, str) else old for old, new in zip(spec.shape, shape, strict=True))
        outputs.append(spec.model_copy(update={"shape": known}))
    return signature.model_copy(update={"inputs": inputs, "outputs": tuple(outputs)})


def _kind(axis: str) -> str:
    return axis.rpartition("_")[2]
