"""What others import and hardly anybody asks for is not run, and there for whoever asks."""

from __future__ import annotations

import subprocess
import sys

SYMPY = """
import inspect, sys
import pipeline.export.onnx_model
import onnx_ir as ir
inspect.getmodule(inspect.currentframe())
print("sympy.core" in sys.modules)
print([finder for finder in sys.meta_path if "pipeline" in type(finder).__module__])
print(ir.SymbolicDim("n") + 1)
import sympy.core, sympy
from sympy import Symbol
print(sympy.expand("(x+1)*2"), type(sympy).__name__, sympy.__spec__.loader.get_filename() == sympy.__file__)
"""
WRAPPERS = """
import inspect, sys
from pipeline.quiet import load_tensorflow
load_tensorflow()
import keras
inspect.getmodule(inspect.currentframe())
print("sklearn" in sys.modules)
from keras.wrappers import SKLearnClassifier
print("BaseEstimator" in [each.__name__ for each in SKLearnClassifier.__mro__])
print(keras.wrappers.SKLearnClassifier is SKLearnClassifier)
print("sklearn" in sys.modules)
"""
# A module of it, imported first; one that fails, asked again; several threads at once.
PACKAGE = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from pipeline.deferred import deferred
with deferred(["slow", "fails", "whole"]):
    import slow, fails, whole
print(slow.__name__, slow.__file__.endswith("slow.py"), "ran" in vars(slow))
found = []
threads = [threading.Thread(target=lambda: found.append(slow.ran)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found)
import whole.part
print(whole.seen, whole.part.seen)
for _ in range(2):
    try:
        fails.ran
    except ZeroDivisionError as error:
        print(type(error).__name__)
try:
    slow.nothing
except AttributeError as error:
    print(error)
"""


def test_sympy_runs_when_it_is_asked_for() -> None:
    """Its own modules are what takes the time: none is there at first. Sizes are computed with it, and it is itself."""
    assert _printed(SYMPY) == ["False", "[]", "n + 1", "2*x + 2 module True"]


def test_scikit_learn_runs_when_kerass_wrappers_are_asked_for() -> None:
    """Reading and exporting a model needs none; a user's file may use them."""
    assert _printed(WRAPPERS) == ["False", "True", "True", "True"]


def test_a_deferred_module_is_itself_once_it_is_asked(tmp_path) -> None:
    """It runs once, whichever thread asks first; its own modules find it run; an error is the one it raised."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.2)\nran = id(object())\n")
    (tmp_path / "fails.py").write_text("1 / 0\n")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/__init__.py").write_text("import whole\nseen = hasattr(whole, 'later')\nlater = 1\n")
    (tmp_path / "whole/part.py").write_text("import whole\nseen = hasattr(whole, 'later')\n")
    first, found, seen, *errors = _printed(PACKAGE, str(tmp_path))
    assert first == "slow True False"
    each = found.strip("[]").split(", ")
    assert len(each) == 8
    assert len({*each}) == 1
    assert seen == "False True"
    assert errors == ["ZeroDivisionError", "ZeroDivisionError", "module 'slow' has no attribute 'nothing'"]


def _printed(code: str, *arguments: str) -> list[str]:
    told = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()
