"""A recurrent layer as ONNX nodes: one LSTM, GRU or RNN a cell, and what its mask needs around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.export.recurrent import layouts, masks
from pipeline.export.recurrent.emitter import Emitter
from pipeline.export.recurrent.spec import STATES, Activation, CellSpec, RecurrentSpec


@dataclass(frozen=True)
class Operands:
    """What a recurrent layer reads; names of tensors.

    Attributes:
        sequences: `(batch, steps, features)`.
        mask: `(batch, steps)` booleans, or None.
        states: `(batch, units)` each, in Keras' order; None where it is zero.
        weights: for each cell the kernel, the recurrent kernel and perhaps the bias, in Keras' layout.
    """

    sequences: str
    mask: str | None
    states: tuple[str | None, ...]
    weights: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Results:
    """What a recurrent layer gives; names of tensors, sequences in the order of time even if taken in reverse.

    Attributes:
        last: `(batch, units)`, the output of the step taken last.
        sequence: `(batch, steps, units)`; None where it was not asked for.
        states: `(batch, units)` each, in Keras' order.
    """

    last: str
    sequence: str | None
    states: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """One recurrent node's results: outputs `(steps, batch, units)` and states `(batch, units)`."""

    outputs: str
    states: list[str]


def operands(spec: RecurrentSpec, inputs: Sequence[str]) -> Operands:
    """Sort the inputs of a marker operation."""
    rest = list(inputs)
    sequences = rest.pop(0)
    mask = rest.pop(0) if spec.masked else None
    states = tuple(rest.pop(0) if is_given else None for is_given in spec.states)
    weights = tuple(tuple(rest.pop(0) for _ in range(2 if cell.bias == "none" else 3)) for cell in spec.cells)
    return Operands(sequences, mask, states, weights)


def lower(emit: Emitter, spec: RecurrentSpec, given: Operands, *, wants_sequence: bool) -> Results:
    """Emit the nodes of a recurrent layer."""
    where = masks.steps(emit, given.mask) if given.mask is not None else None
    sequences = masks.compacted(emit, given.sequences, where, reverse=spec.reverse) if where else given.sequences
    lengths = masks.run_lengths(emit, where) if where else ""
    (current,) = emit.node("Transpose", [sequences], perm=[1, 0, 2])
    states: list[str] = []
    initial = list(given.states)
    for cell, weights in zip(spec.cells, given.weights, strict=True):
        started = [initial.pop(0) for _ in range(STATES[cell.kind])]
        run = _run(emit, cell, [current, lengths], weights, started, reverse=spec.reverse and where is None)
        current = run.outputs
        states += run.states
    output_state = states[-STATES[spec.cells[-1].kind]]
    sequence = emit.node("Transpose", [current], perm=[1, 0, 2])[0] if wants_sequence else None
    if where is None:
        return Results(output_state, sequence, tuple(states))
    how: dict[str, bool] = {"reverse": spec.reverse, "zero_masked": spec.zero_masked}
    return Results(
        masks.last_output(emit, output_state, where, **how),
        masks.expanded(emit, sequence, where, **how) if sequence is not None else None,
        tuple(masks.last_state(emit, state, first, where) for state, first in zip(states, given.states, strict=True)),
    )


def _run(
    emit: Emitter,
    cell: CellSpec,
    ins: list[str],
    weights: tuple[str, ...],
    initial: list[str | None],
    *,
    reverse: bool,
) -> _Run:
    sequences, lengths = ins
    axis = emit.constant(np.array([0], np.int64))
    inputs = [
        sequences,
        layouts.kernel(emit, weights[0], cell),
        layouts.kernel(emit, weights[1], cell),
        layouts.bias(emit, weights[2], cell) if cell.bias != "none" else "",
        lengths,
        *(emit.node("Unsqueeze", [state, axis])[0] if state else "" for state in initial),
    ]
    while not inputs[-1]:
        inputs.pop()
    outputs, *states = emit.node(cell.kind, inputs, 1 + STATES[cell.kind], **_attributes(cell, reverse=reverse))
    directions = emit.constant(np.array([1], np.int64))
    return _Run(
        emit.node("Squeeze", [outputs, directions])[0],
        [emit.node("Squeeze", [state, axis])[0] for state in states],
    )


def _attributes(cell: CellSpec, *, reverse: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {"hidden_size": cell.units}
    if reverse:
        attributes["direction"] = "reverse"
    if cell.kind == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    if cell.activations != _DEFAULTS[cell.kind]:
        attributes["activations"] = [activation.name for activation in cell.activations]
        # One value for each function that takes one, in order.
        attributes["activation_alpha"] = [each.alpha for each in cell.activations if each.alpha is not None]
        attributes["activation_beta"] = [each.beta for each in cell.activations if each.beta is not None]
    return {name: value for name, value in attributes.items() if value != []}


_SIGMOID, _TANH = Activation("Sigmoid"), Activation("Tanh")
_DEFAULTS = {"LSTM": (_SIGMOID, _TANH, _TANH), "GRU": (_SIGMOID, _TANH), "RNN": (_TANH,)}
