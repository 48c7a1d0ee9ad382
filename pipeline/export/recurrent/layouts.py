"""The layouts of ONNX's recurrent weights, made from Keras'.

Keras holds a kernel as `(inputs, gates * units)` and a bias as `(gates * units)`, or `(2, gates * units)` where the
recurrent part has one of its own (GRU with `reset_after`). ONNX wants `(1, gates * units, inputs)` and both biases one
behind the other, `(1, 2 * gates * units)`, and orders the gates of an LSTM i, o, f, c where Keras has i, f, c, o.
"""

from __future__ import annotations

import numpy as np

from pipeline.export.recurrent.emitter import Emitter
from pipeline.export.recurrent.spec import CellSpec

_GATES: dict[str, tuple[int, ...]] = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "RNN": (0,)}


def kernel(emit: Emitter, weight: str, cell: CellSpec) -> str:
    """A kernel or recurrent kernel as ONNX wants it."""
    rows = _rows(cell)
    value = emit.value(weight)
    if value is not None:
        return emit.constant(np.ascontiguousarray(value.T[rows][None]))
    (turned,) = emit.node("Transpose", [weight], perm=[1, 0])
    return _unsqueezed(emit, _reordered(emit, turned, rows))


def bias(emit: Emitter, weight: str, cell: CellSpec) -> str:
    """Both biases as ONNX wants them; zeros where Keras has no recurrent one."""
    rows = _rows(cell)
    value = emit.value(weight)
    if value is not None:
        of_input, of_state = value if cell.bias == "two" else (value, np.zeros_like(value))
        return emit.constant(np.concatenate([of_input[rows], of_state[rows]])[None])
    if cell.bias == "two":
        flat = emit.node("Reshape", [weight, emit.constant(np.array([-1], np.int64))])[0]
        return _unsqueezed(emit, _reordered(emit, flat, np.concatenate([rows, rows + len(rows)])))
    zeros = emit.constant(np.zeros(len(rows), np.float32))
    return _unsqueezed(emit, emit.node("Concat", [_reordered(emit, weight, rows), zeros], axis=0)[0])


def _rows(cell: CellSpec) -> np.ndarray:
    return np.concatenate([np.arange(cell.units) + gate * cell.units for gate in _GATES[cell.kind]])


def _reordered(emit: Emitter, tensor: str, rows: np.ndarray) -> str:
    if np.array_equal(rows, np.arange(len(rows))):
        return tensor
    return emit.node("Gather", [tensor, emit.constant(rows.astype(np.int64))], axis=0)[0]


def _unsqueezed(emit: Emitter, tensor: str) -> str:
    return emit.node("Unsqueeze", [tensor, emit.constant(np.array([0], np.int64))])[0]
