"""Importing a user's module, by its dotted name or from its file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from pipeline.errors import BadInput
from pipeline.models.foreign import calling_foreign


def import_module(name: str) -> ModuleType:
    """The module of this dotted name, looked for in the working directory too.

    Raises:
        BadInput: if it can't be imported; the message has the error's own.
    """
    _search_in(Path.cwd())
    with calling_foreign(f"importing {name}", "check the name, and that its folder is the working one or installed"):
        return importlib.import_module(name)


def import_file(path: Path) -> ModuleType:
    """The module of a `.py` file, run afresh; modules beside the file can be imported by it.

    Raises:
        BadInput: if there is no such file or it can't be imported; the message has the error's own.
    """
    if not path.is_file():
        raise BadInput(f"{path} doesn't exist: give the path of a Python file, as path/to/file.py:function")
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is not a Python file: its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    _search_in(path.resolve().parent)
    sys.modules[name] = module  # before it runs: dataclasses and Keras' serialisation look their module up
    with calling_foreign(f"importing {path}"):
        spec.loader.exec_module(module)
    return module


def _module_name(path: Path) -> str:
    """The file's stem, as Keras notes it for custom layers; with a mark of its path where another module has that."""
    owner = getattr(sys.modules.get(path.stem), "__file__", None)
    is_free = path.stem not in sys.modules or (owner is not None and Path(owner).resolve() == path.resolve())
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return path.stem if is_free else f"{path.stem}_{mark}"


def _search_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
