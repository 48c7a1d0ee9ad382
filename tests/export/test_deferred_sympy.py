"""SymPy is not loaded by an export, and there for whoever asks."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import pipeline.export.onnx_model
import onnx_ir as ir
print("sympy.core" in sys.modules)
print([finder for finder in sys.meta_path if "pipeline" in getattr(finder, "__module__", "")])
print(ir.SymbolicDim("n") + 1)
import sympy.core, sympy
from sympy import Symbol
print(sympy.expand("(x+1)*2"))
"""


def test_sympy_runs_when_it_is_asked_for() -> None:
    """Its own modules are what takes the time: none is there at first. Sizes are computed with it, and it is itself."""
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["False", "[]", "n + 1", "2*x + 2"]
