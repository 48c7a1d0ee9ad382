"""Who reads a tensor."""

from __future__ import annotations

import onnx_ir as ir


def is_read_once(value: ir.Value) -> bool:
    """Whether one node reads a tensor at one place, and nobody outside of the graph does."""
    return len(value.uses()) == 1 and not value.is_graph_output()
