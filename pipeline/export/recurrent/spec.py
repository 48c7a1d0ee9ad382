"""What a recurrent layer computes, as plain values that travel through a TensorFlow graph as text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["LSTM", "GRU", "RNN"]

# How many states a cell carries from step to step.
STATES: dict[str, int] = {"LSTM": 2, "GRU": 1, "RNN": 1}


@dataclass(frozen=True)
class Activation:
    """An activation that ONNX's recurrent operators know, with its parameters where it has some."""

    name: str
    alpha: float | None = None
    beta: float | None = None


@dataclass(frozen=True)
class CellSpec:
    """One cell.

    Attributes:
        kind: ONNX's operator.
        units: width of the state.
        activations: in ONNX's order: gates first, then the candidate (LSTM: a third one, of the output).
        bias: `none`; `one` vector, added to the input's part; or `two`, the second added to the recurrent part.
        reset_after: of a GRU: whether the reset gate is applied after the recurrent product (`linear_before_reset`).
    """

    kind: Kind
    units: int
    activations: tuple[Activation, ...]
    bias: Literal["none", "one", "two"]
    reset_after: bool = False


@dataclass(frozen=True)
class RecurrentSpec:
    """Cells that run as a stack over one sequence.

    Attributes:
        layer: the Keras layer's name.
        cells: the lowest first; each reads the outputs of the one before.
        reverse: whether steps are taken from the last to the first.
        masked: whether a mask says which steps count.
        zero_masked: whether the output at a step that does not count is zero, not the last one before it.
        states: for each state of each cell whether an initial value is given; it is zero where not.
    """

    layer: str
    cells: tuple[CellSpec, ...]
    reverse: bool
    masked: bool
    zero_masked: bool
    states: tuple[bool, ...]

    def token(self) -> str:
        """The spec as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_token(token: str) -> RecurrentSpec:
        """The spec that `token()` wrote."""
        fields = json.loads(token)
        cells = tuple(
            CellSpec(**{**cell, "activations": tuple(Activation(**each) for each in cell["activations"])})
            for cell in fields.pop("cells")
        )
        return RecurrentSpec(**{**fields, "cells": cells, "states": tuple(fields["states"])})
