"""What a reference says by itself, before anything is loaded: where a model comes from, and what it is called."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.records import Source

# Old files of whole models, and those that hold one.
OLD_FILES = (".h5", ".hdf5")
MODEL_FILES = (".keras", *OLD_FILES)
# Functions whose names say nothing of what they build: the file's does.
_UNTOLD = ("build", "model", "task")


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: what its bundle is called: the name that the user chose, the registered name, the file's stem, or with a
            function of another name than `build`, `model` and `task` the stem and the function's; with only letters
            that suit a folder.
        text: what is told of where it comes from: file and function, without folders.
        place: the file that it is made from, or what stands for it: a module's full name, a registered one.
    """

    name: str
    text: str
    place: Path | str

    def source(self, folder: Path) -> Source:
        """The same, as a folder says in which something of it lies."""
        place = self.place
        if isinstance(place, Path):
            place = os.path.relpath(os.path.realpath(place), os.path.realpath(folder))
        return Source(text=self.text, sha256=hashlib.sha256(f"{place} {self.text}".encode()).hexdigest())


def origin_of(reference: str) -> Origin:
    """Of a reference to a user's own model.

    Raises:
        BadInput: if it names no module, file or function.
    """
    if reference.endswith(MODEL_FILES):
        path = Path(reference)
        return Origin(folder_name(path.stem), path.name, path)
    where, function = where_and_function(reference)
    is_file = where.endswith(".py")
    stem = Path(where).stem if is_file else where.rpartition(".")[2]
    return Origin(
        name=folder_name(stem if function in _UNTOLD else f"{stem}-{function}"),
        text=f"{Path(where).name if is_file else where}:{function}",
        place=Path(where) if is_file else where,
    )


def where_and_function(reference: str) -> tuple[str, str]:
    """The module or file and the function of a reference.

    Raises:
        BadInput: if one is missing.
    """
    where, _, function = reference.rpartition(":")
    if not where or not function:
        missing = "function behind" if where else "module or file before"
        raise BadInput(f"{reference} names no {missing} the colon: write module:function or path/to/file.py:function")
    return where, function


def folder_name(name: str) -> str:
    """A name of only such letters as suit a folder."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._-") or "model"
