"""Recurrent layers traced as one operation each, which the conversion to ONNX takes as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, tree

from pipeline.export.markers import marker
from pipeline.export.recurrent.cells import NotExpressible, cell_spec, cells_of, weights_of
from pipeline.export.recurrent.spec import STATES, RecurrentSpec
from pipeline.graph.patching import replaced

_LOOPING = layers.RNN.inner_loop


@contextlib.contextmanager
def native_recurrences(on_loop: Callable[[str, str], None]) -> Iterator[None]:
    """While it lasts, tracing a recurrent layer leaves one marker operation in place of the loop over time.

    Keras computes masks, initial states, merged directions and everything else around `inner_loop` as ever.

    Args:
        on_loop: told the name of each layer that stays a loop, and why.
    """

    def inner_loop(self: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        mask = mask[0] if tree.is_nested(mask) else mask
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        try:
            return _marked(self, sequences, states, mask)
        except NotExpressible as reason:
            on_loop(self.name, str(reason))
            return _LOOPING(self, sequences, initial_state, mask, training)

    def never(self: Any, *arguments: Any) -> bool:
        return False

    with contextlib.ExitStack() as stack:
        for layer in (layers.RNN, layers.LSTM, layers.GRU):
            stack.enter_context(replaced(layer, "inner_loop", inner_loop))
        # Where there is a GPU, Keras would run both directions as one cuDNN operation (Bidirectional.call).
        for attempt in ("_can_attempt_fused_lstm", "_can_attempt_fused_gru"):
            if hasattr(layers.Bidirectional, attempt):
                stack.enter_context(replaced(layers.Bidirectional, attempt, never))
        yield


def _marked(layer: Any, sequences: Any, states: list[Any], mask: Any) -> Any:
    """(last output, all outputs, states) as `inner_loop` returns them.

    Raises:
        NotExpressible: if ONNX has no operators for what the layer does.
    """
    cells = cells_of(layer)
    specs = tuple(cell_spec(cell) for cell in cells)
    flat_states = [tf.convert_to_tensor(state) for state in tree.flatten(states)]
    if len(flat_states) != sum(STATES[spec.kind] for spec in specs):
        raise NotExpressible("its states are not those of its cells")
    if sequences.dtype != tf.float32:
        raise NotExpressible(f"its input is {sequences.dtype.name}")
    given = [not _is_zero(state) for state in flat_states]
    spec = RecurrentSpec(
        layer=layer.name,
        cells=specs,
        reverse=bool(layer.go_backwards),
        masked=mask is not None,
        zero_masked=bool(layer.zero_output_for_mask),
        states=tuple(given),
    )
    inputs = [sequences]
    if mask is not None:
        inputs.append(_step_mask(mask, sequences))
    inputs += [state for state, is_given in zip(flat_states, given, strict=True) if is_given]
    inputs += [keras.ops.convert_to_tensor(weight) for cell in cells for weight in weights_of(cell)]
    last, sequence, *ends = marker(spec.token(), inputs, _shapes(spec, sequences))
    if spec.reverse:  # the marker gives sequences in the order of time, Keras in the order in which it took the steps
        sequence = tf.reverse(sequence, [1])
    return last, sequence if layer.return_sequences else last[:, None], list(tree.pack_sequence_as(states, ends))


def _shapes(spec: RecurrentSpec, sequences: Any) -> list[tuple[int | None, ...]]:
    """The shapes of the last output, all outputs and each state."""
    batch, steps = sequences.shape[0], sequences.shape[1]
    units = spec.cells[-1].units
    widths = [cell.units for cell in spec.cells for _ in range(STATES[cell.kind])]
    return [(batch, units), (batch, steps, units), *((batch, width) for width in widths)]


def _step_mask(mask: Any, sequences: Any) -> Any:
    """The mask as booleans, `(batch, steps)`."""
    if mask.shape.rank == 3 and mask.shape[-1] == 1:
        mask = tf.squeeze(mask, -1)
    if mask.shape.rank != 2:
        raise NotExpressible(f"its mask has rank {mask.shape.rank}")
    if any(of_mask == 1 != wanted for of_mask, wanted in zip(mask.shape, sequences.shape, strict=False)):
        raise NotExpressible("its mask has one row or one step for all")
    return tf.cast(mask, tf.bool)


def _is_zero(state: Any) -> bool:
    """Whether a state is the zeros that Keras starts from; ONNX takes those as given."""
    if state.op.type == "Fill":
        return bool(tf.get_static_value(state.op.inputs[1]) == 0)
    value = tf.get_static_value(state)
    return value is not None and not np.any(value)
