"""What a lowering needs of a converter: a way to add nodes and constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Emitter(Protocol):
    """Adds to an ONNX graph; tensors are names."""

    def node(self, operation: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node; an input that is left out is the empty name. Returns the names of its outputs."""

    def constant(self, value: np.ndarray) -> str:
        """Add a constant."""

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of a tensor that is a constant."""
