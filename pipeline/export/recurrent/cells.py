"""Which Keras cells ONNX can express."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import activations, layers

from pipeline.export.recurrent.spec import Activation, CellSpec

# keras.activations beside the functions of ONNX's recurrent operators (their documentation lists both formulas and
# default parameters). `hard_sigmoid` is relu6(x + 3) / 6 in Keras 3. `softplus` is not among them: onnxruntime's
# recurrent kernels take `log(1 + exp(x))` as it stands, which is infinite above 88 and makes a gated state NaN.
_ACTIVATIONS: dict[Any, Activation] = {
    activations.linear: Activation("Affine", 1.0, 0.0),
    activations.relu: Activation("Relu"),
    activations.tanh: Activation("Tanh"),
    activations.sigmoid: Activation("Sigmoid"),
    activations.hard_sigmoid: Activation("HardSigmoid", 1 / 6, 0.5),
    activations.softsign: Activation("Softsign"),
    activations.elu: Activation("Elu", 1.0),
    activations.leaky_relu: Activation("LeakyRelu", 0.2),
}


class NotExpressible(Exception):
    """ONNX has no operator for a recurrent layer; the message says why in a few words."""


def cells_of(layer: layers.RNN) -> tuple[Any, ...]:
    """The cells that run at each step, the lowest first."""
    cell = layer.cell
    return tuple(cell.cells) if type(cell) is layers.StackedRNNCells else (cell,)


def cell_spec(cell: Any) -> CellSpec:
    """What a built-in cell computes.

    Raises:
        NotExpressible: for a cell of the user's own, one that computes in another dtype than float32, and an
            activation that ONNX can't name.
    """
    kind = _kind(cell)
    if cell.compute_dtype != "float32" or any(weight.dtype != "float32" for weight in cell.weights):
        raise NotExpressible(f"onnxruntime's {kind} computes in float32 only, and the layer in {cell.compute_dtype}")
    gates: tuple[Any, ...]
    if kind == "LSTM":
        gates = (cell.recurrent_activation, cell.activation, cell.activation)
        return CellSpec("LSTM", cell.units, _named(gates), _bias(cell))
    if kind == "GRU":
        gates = (cell.recurrent_activation, cell.activation)
        return CellSpec("GRU", cell.units, _named(gates), _bias(cell), bool(cell.reset_after))
    return CellSpec("RNN", cell.units, _named((cell.activation,)), _bias(cell))


def weights_of(cell: Any) -> list[Any]:
    """The kernel, the recurrent kernel and, where there is one, the bias of a built-in cell."""
    return [cell.kernel, cell.recurrent_kernel, *([cell.bias] if cell.use_bias else [])]


def _kind(cell: Any) -> Any:
    """ONNX's operator for a cell that computes what the built-in one does: a subclass may override its `call`."""
    for kind, built_in in (("LSTM", layers.LSTMCell), ("GRU", layers.GRUCell), ("RNN", layers.SimpleRNNCell)):
        if isinstance(cell, built_in) and type(cell).call is built_in.call:
            return kind
    raise NotExpressible(f"its cell is a {type(cell).__name__}")


def _bias(cell: Any) -> Literal["none", "one", "two"]:
    if not cell.use_bias:
        return "none"
    return "two" if getattr(cell, "reset_after", False) else "one"


def _named(functions: tuple[Any, ...]) -> tuple[Activation, ...]:
    return tuple(_activation(function) for function in functions)


def _activation(function: Any) -> Activation:
    if function is None:
        function = activations.linear
    known = _ACTIVATIONS.get(function) if callable(function) and not isinstance(function, keras.Layer) else None
    if known is None:
        name = getattr(function, "__name__", None) or type(function).__name__
        raise NotExpressible(f"ONNX's recurrent operators have no activation '{name}'")
    return known
