"""The registered models: their names, and the modules that make their tasks."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BadInput

if TYPE_CHECKING:
    from pipeline.models.task import Task


@dataclass(frozen=True)
class Registered:
    """A registered model. Its module has `task()`, and `task(data)` where it `takes_data`."""

    name: str
    module: str
    summary: str
    takes_data: bool = False


_REGISTERED = (
    Registered("two_branch", "pipeline.models.two_branch", "two views of a tumour table through one Dense"),
    Registered("siamese", "pipeline.models.siamese", "pairs of digits through one convolutional tower", True),
    Registered("seq2seq", "pipeline.models.seq2seq", "sums, one LSTM as encoder and as decoder"),
)


def names() -> tuple[str, ...]:
    """The registered names."""
    return tuple(entry.name for entry in _REGISTERED)


def registered(name: str) -> Registered:
    """The registered model of this name.

    Raises:
        BadInput: if there is none; the message has the nearest name.
    """
    for entry in _REGISTERED:
        if entry.name == name:
            return entry
    raise unknown(name)


def unknown(name: str) -> BadInput:
    """The refusal of a name that is not registered, with the nearest one that is."""
    nearest = get_close_matches(name, names(), n=1)
    guess = f"did you mean {nearest[0]!r}?" if nearest else "give a name, module:function, file.py:function or a .keras"
    return BadInput(f"model {name!r} is not registered; {guess} (shared-layers list shows all)")


def task_of(name: str, data: Path | None = None) -> Task:
    """The task of a registered model, on its own data or on that of the file `data`.

    Raises:
        BadInput: if there is no such model, or it takes no data file.
    """
    entry = registered(name)
    if data is not None and not entry.takes_data:
        takers = ", ".join(entry.name for entry in _REGISTERED if entry.takes_data)
        raise BadInput(f"model {name!r} takes no --data: it has its own; those that take a file: {takers}")
    module = importlib.import_module(entry.module)
    task: Task = module.task(data) if entry.takes_data else module.task()
    return task


def sources_of(name: str) -> tuple[Path, ...]:
    """The source files that hold a registered task: when one changes, what was made from it is stale."""
    spec = importlib.util.find_spec(registered(name).module)
    if spec is None or spec.origin is None:
        raise BadInput(f"the module of model {name!r} is missing: install shared-layers again")
    return (Path(spec.origin),)
