"""Modules that other libraries import for what hardly anybody asks of them, run when something is asked.

- onnx-ir 1.1 computes with symbolic sizes in SymPy, which no pass of ours asks for: 0.3 s.
- Keras imports scikit-learn, where that is installed, for `keras.wrappers`: 0.6 s, a sixth of the start.

`importlib.util.LazyLoader` does not do: whoever looks through `sys.modules` for the file of a function, as TensorFlow's
AutoGraph does by `inspect.getmodule`, asks every module for `__file__`, and that runs them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# SymPy, and the one module that asks for it while it is imported itself.
SYMPY = ("sympy", "onnx_ir._symbolic_shapes")
SKLEARN_WRAPPERS = ("keras.wrappers",)

# One for all: a module that runs may ask another one.
_running = threading.RLock()


class _Deferred(ModuleType):
    """A module that has its name, file and specification, and runs when it is asked for anything else."""

    def __getattr__(self, name: str) -> Any:
        with _running:
            if type(self) is _Deferred:
                _run(self)
        return getattr(self, name)


class _Unfinished(_Deferred):
    """One that runs: who runs it gets what is there, as of every module that is being imported; others wait."""

    def __getattr__(self, name: str) -> Any:
        with _running:
            if type(self) is _Unfinished:
                raise AttributeError(f"partially initialized module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


def _run(module: ModuleType) -> None:
    spec = module.__spec__
    assert spec is not None
    assert isinstance(spec.loader, _DeferringLoader)
    loader = spec.loader.own
    spec.loader = module.__loader__ = loader
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    module.__class__ = _Unfinished
    try:
        loader.exec_module(module)
    except BaseException:
        module.__class__, spec.loader = _Deferred, _DeferringLoader(loader)  # whoever asks again hears it again
        raise
    module.__class__ = ModuleType


class _DeferringLoader(Loader):
    """Loads a module without running it."""

    def __init__(self, own: Loader) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.own.create_module(spec) or ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        # Whoever imports a module that lies in it asks for its path first, and so has it run.
        vars(module).pop("__path__", None)
        module.__class__ = _Deferred


class _DeferringFinder:
    """Finds modules of some names as Python does, but for their loader."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own specification; None for every other module."""
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader)
        return spec


@contextmanager
def deferred(names: Sequence[str]) -> Iterator[None]:
    """Let modules that are first imported within the block run when they are first asked for something.

    Args:
        names: of them; nothing is deferred if one of them has run already.
    """
    if {*names} & sys.modules.keys():
        yield
        return
    finder = _DeferringFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
