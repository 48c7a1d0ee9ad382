"""onnx-ir without the 0.3 s that importing SymPy takes.

onnx-ir 1.1 computes with symbolic sizes in SymPy, which no pass of ours asks for. Half of the time that a small model's
export took was that import.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# SymPy, and the one module that asks for it while it is imported itself.
_DEFERRED = ("sympy", "onnx_ir._symbolic_shapes")


class _DeferringFinder:
    """Finds the modules above as Python does, and lets them run when something is first asked of them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own specification with a lazy loader; None for every other module."""
        spec = PathFinder.find_spec(name, path, target) if name in _DEFERRED else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def sympy_deferred() -> Iterator[None]:
    """Let SymPy, imported within the block, run when it is first asked for something; unless it has run already."""
    if {*_DEFERRED} & sys.modules.keys():
        yield
        return
    sys.meta_path.insert(0, _DeferringFinder)
    try:
        yield
    finally:
        sys.meta_path.remove(_DeferringFinder)
