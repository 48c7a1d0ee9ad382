"""SymPy is not loaded by an export, and there for whoever asks."""

from __future__ import annotations

import subprocess
import sys


def told(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_converting_code_loads_without_sympy() -> None:
    """SymPy's own modules are what takes the time: none is there."""
    code = "import pipeline.export.onnx_model, sys; print('sympy.core' in sys.modules)"
    assert told(code) == "False"


def test_arithmetic_on_symbolic_sizes_still_works() -> None:
    """What onnx-ir wants SymPy for."""
    code = "import pipeline.export.onnx_model, onnx_ir as ir; print(ir.SymbolicDim('n') + 1)"
    assert told(code) == "n + 1"


def test_sympy_imported_later_is_sympy() -> None:
    """A user's own import, of the package and of a module in it."""
    code = (
        "import pipeline.export.onnx_model, sympy.core, sympy; from sympy import Symbol; print(sympy.expand('(x+1)*2'))"
    )
    assert told(code) == "2*x + 2"
