"""`TimeDistributed` as one call on all steps at once.

Keras calls the inner layer once for each step, written out where their number is known and mapped where it is not. A
layer that treats rows alike gives the same on steps merged into the batch axis, in one node instead of many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pipeline.graph.patching import replaced
from pipeline.graph.read import graph_of
from pipeline.graph.time_distributed import over_steps

# Operations of `keras.ops` that are seen in graphs: masks are made of them, and arithmetic between layers.
_ELEMENTWISE = frozenset(
    {"Absolute", "Add", "Cast", "Divide", "Equal", "Maximum", "Minimum", "Multiply", "Negative"}
) | {
    "NotEqual",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "Relu",
    "Sigmoid",
    "Square",
    "Subtract",
    "Tanh",
}
_REDUCTIONS = frozenset({"All", "Any", "Max", "Mean", "Min", "Sum"})


@contextlib.contextmanager
def merged_steps() -> Iterator[None]:
    """While it lasts, tracing `TimeDistributed` merges the axes batch and steps around layers of Keras' own."""

    def call(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not _treats_rows_alike(self.layer):
            return over_steps(self, inputs, training=training, mask=mask)
        arguments: dict[str, Any] = {}
        if self.layer._call_has_mask_arg and mask is not None:
            arguments["mask"] = _merged(mask)
        if self.layer._call_has_training_arg:
            arguments["training"] = training
        return _split(self.layer.call(_merged(inputs), **arguments), inputs)

    with replaced(layers.TimeDistributed, "call", call):
        yield


def _treats_rows_alike(layer: Any) -> bool:
    """Whether a layer is known not to mix rows at inference: Keras' own layers, and models of nothing else."""
    if isinstance(layer, keras.Model):
        graph = graph_of(layer)
        return graph is not None and all(map(_treats_rows_alike, graph.operations))
    if not isinstance(layer, keras.Layer):
        return _operation_treats_rows_alike(layer)
    is_own = type(layer).__module__.startswith("keras.") and not isinstance(layer, layers.Lambda)
    inner = layer._flatten_layers(include_self=False, recursive=False)
    return is_own and _keeps_to_rows(layer) and all(_treats_rows_alike(each) for each in inner)


def _keeps_to_rows(layer: Any) -> bool:
    """Whether what a layer of Keras' own was made with leaves the first axis alone.

    Any layer may be given a function of the user's, and many an axis. -1 is the last axis, which is not the first one:
    a step has features. Other negative axes may be any.
    """
    functions = [value for name, value in vars(layer).items() if name.endswith("activation") and callable(value)]
    if any(not getattr(each, "__module__", "").startswith("keras.") for each in functions):
        return False
    axes = [axis for name in ("axis", "axes") for axis in np.ravel(_given(layer, name)).tolist()]
    if any(not (axis > 0 or axis == -1) for axis in axes):
        return False
    return not isinstance(layer, layers.EinsumDense) or _leads_with_its_rows(layer.equation)


def _given(layer: Any, name: str) -> Any:
    value = vars(layer).get(name)
    return [] if value is None else value


def _leads_with_its_rows(equation: str) -> bool:
    """Whether an einsum's first index of rows is its first of the result, and no weight's."""
    rows, _, rest = equation.partition(",")
    weight, _, result = rest.partition("->")
    if rows.startswith("...") or not rows:
        return result.startswith("...")
    return result.startswith(rows[0]) and rows[0] not in weight


def _operation_treats_rows_alike(operation: Any) -> bool:
    name = type(operation).__name__
    if name in _REDUCTIONS:
        axes = np.atleast_1d(operation.axis)
        return operation.axis is not None and bool(np.all((axes > 0) | (axes == -1)))
    return name in _ELEMENTWISE


def _merged(tensor: Any) -> Any:
    """`(batch, steps, ...)` as `(batch * steps, ...)`."""
    return tf.reshape(tensor, _shape([-1], tensor, 2))


def _split(tensor: Any, like: Any) -> Any:
    """`(batch * steps, ...)` as `(batch, steps, ...)`."""
    batch, steps = like.shape[0], like.shape[1]
    if steps is not None:
        leading: list[Any] = [-1 if batch is None else batch, steps]
    else:
        leading = [tf.shape(like)[0] if batch is None else batch, -1]
    return tf.reshape(tensor, _shape(leading, tensor, 1))


def _shape(leading: list[Any], tensor: Any, first: int) -> list[Any]:
    """`leading`, then the sizes of a tensor's axes from `first` on, as numbers where they are known."""
    sizes = tf.shape(tensor)
    return leading + [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)][first:]
