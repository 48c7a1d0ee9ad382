"""Masks of any pattern around recurrent nodes that know lengths only.

Keras carries the state over a masked step and repeats the last output there (zeros before the first step that counts;
zeros at every masked step with `zero_output_for_mask`). ONNX has `sequence_lens`. So the steps that count are moved to
the front of their row, and afterwards each step takes the output of its place there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from pipeline.export.recurrent.emitter import Emitter


@dataclass(frozen=True)
class Steps:
    """Where the steps that count stand; names of tensors.

    Attributes:
        valid: `(batch, steps)` booleans: the mask.
        counted: `(batch, steps)` int64: how many steps up to and with this one count.
        ones: `(batch, steps)` int64: the mask as numbers.
        lengths: `(batch, 1)` int64: how many steps of a row count.
        any_valid: `(batch, 1)` booleans: whether one does.
    """

    valid: str
    counted: str
    ones: str
    lengths: str
    any_valid: str


def steps(emit: Emitter, mask: str) -> Steps:
    """Count the steps of a mask, `(batch, steps)` booleans."""
    (ones,) = emit.node("Cast", [mask], to=TensorProto.INT64)
    (counted,) = emit.node("CumSum", [ones, _number(emit, 1)])
    (lengths,) = emit.node("ReduceSum", [ones, _numbers(emit, 1)], keepdims=1)
    (any_valid,) = emit.node("Greater", [lengths, _number(emit, 0)])
    return Steps(mask, counted, ones, lengths, any_valid)


def compacted(emit: Emitter, sequences: str, where: Steps, *, reverse: bool) -> str:
    """`sequences`, `(batch, steps, features)`, with the steps that count in front in the order in which to take them.

    In reverse too, so that the node runs forward and no output depends on what comes behind the steps that count:
    OpenVINO (2026.4) runs those too where the number of steps is free.
    """
    # A step that counts goes to the place of its number. One that does not goes to the last place (-1), which is
    # then free: if one does not count, there are fewer places taken than steps.
    if reverse:
        (number,) = emit.node("Sub", [where.lengths, where.counted])
        (place,) = emit.node("Where", [where.valid, number, _number(emit, -1)])
    else:
        (number,) = emit.node("Mul", [where.counted, where.ones])
        (place,) = emit.node("Sub", [number, _number(emit, 1)])
    (shape,) = emit.node("Shape", [where.ones])
    one = _tensor(emit, 1)
    (each,) = emit.node("ConstantOfShape", [shape], value=one)
    (positions,) = emit.node("CumSum", [each, _number(emit, 1)], exclusive=1)
    (nowhere,) = emit.node("ConstantOfShape", [shape], value=_tensor(emit, 0))
    (source,) = emit.node("ScatterElements", [nowhere, place, positions], axis=1)
    return _taken(emit, sequences, source)


def run_lengths(emit: Emitter, where: Steps) -> str:
    """`sequence_lens`, `(batch)` int32: at least one, since what a runtime does at none is not specified."""
    (at_least_one,) = emit.node("Max", [where.lengths, _number(emit, 1)])
    (flat,) = emit.node("Squeeze", [at_least_one, _numbers(emit, 1)])
    return emit.node("Cast", [flat], to=TensorProto.INT32)[0]


def expanded(emit: Emitter, outputs: str, where: Steps, *, reverse: bool, zero_masked: bool) -> str:
    """Outputs over compacted steps, `(batch, steps, units)`, back at the steps of the original sequence."""
    taken = where.counted
    if reverse:  # how many were taken when this step's turn came: those from here on
        (behind,) = emit.node("Sub", [where.counted, where.ones])
        (taken,) = emit.node("Sub", [where.lengths, behind])
    (last,) = emit.node("Sub", [taken, _number(emit, 1)])
    (place,) = emit.node("Max", [last, _number(emit, 0)])
    has_output = where.valid if zero_masked else emit.node("Greater", [taken, _number(emit, 0)])[0]
    (condition,) = emit.node("Unsqueeze", [has_output, _numbers(emit, 2)])
    return emit.node("Where", [condition, _taken(emit, outputs, place), _zero(emit)])[0]


def last_output(emit: Emitter, state: str, where: Steps, *, reverse: bool, zero_masked: bool) -> str:
    """The output at the step taken last, `(batch, units)`, from the cell's last output state."""
    if not zero_masked:
        return emit.node("Where", [where.any_valid, state, _zero(emit)])[0]
    (column,) = emit.node("Gather", [where.valid, _numbers(emit, 0 if reverse else -1)], axis=1)
    return emit.node("Where", [column, state, _zero(emit)])[0]


def last_state(emit: Emitter, state: str, initial: str | None, where: Steps) -> str:
    """A state after the last step, `(batch, units)`: the initial one where no step counts."""
    return emit.node("Where", [where.any_valid, state, initial or _zero(emit)])[0]


def _taken(emit: Emitter, sequences: str, places: str) -> str:
    """`sequences[b, places[b, t]]` for every row and step."""
    (index,) = emit.node("Unsqueeze", [places, _numbers(emit, 2)])
    return emit.node("GatherND", [sequences, index], batch_dims=1)[0]


def _number(emit: Emitter, value: int) -> str:
    return emit.constant(np.array(value, np.int64))


def _numbers(emit: Emitter, value: int) -> str:
    return emit.constant(np.array([value], np.int64))


def _zero(emit: Emitter) -> str:
    return emit.constant(np.array(0, np.float32))


def _tensor(emit: Emitter, value: int) -> np.ndarray:
    return np.array([value], np.int64)
