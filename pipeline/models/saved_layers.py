"""The layers that a Keras weights file holds, as a tree: their names, the shapes of their weights, where they lie.

Keras addresses a layer in a list by its class and a counter (`layers/lstm_1`), not by its name; it writes the name
beside it since 3.10 (`saving_lib._save_state` and `_save_container_state`, Keras 3.15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py

VARIABLES = "vars"
_COUNTED = re.compile(r"(.*?)(?:_(\d+))?")
# States of random generators: they are saved beside weights, and no answer at inference depends on them.
_GENERATOR = "seed_generator"
_LIST = "container"  # what Keras calls a list in a list


@dataclass(frozen=True)
class SavedLayer:
    """A layer in a weights file, or another object that holds variables.

    Attributes:
        place: the path of its group in the file.
        key: what its parent calls it: the attribute, or in a list the class with a counter.
        name: its own name; None where the file does not tell.
        shapes: of its own variables, by their key.
        parts: what hangs on its attributes.
        lists: the layers in its lists, by the attribute of the list, in the order of class and counter.
    """

    place: str
    key: str
    name: str | None
    shapes: Mapping[str, tuple[int, ...]]
    parts: Mapping[str, SavedLayer]
    lists: Mapping[str, tuple[SavedLayer, ...]]

    @property
    def kind(self) -> str:
        """The class in a list's key, in snake case."""
        return _counted(self.key)[0]

    @property
    def is_named(self) -> bool:
        """Whether somebody named it: Keras' own names are the class and a counter that goes up over a process."""
        return self.name is not None and _counted(self.name)[0] != self.kind

    @property
    def is_filled(self) -> bool:
        """Whether it, or something in it, has weights."""
        return bool(self.form)

    @property
    def form(self) -> tuple[Any, ...]:
        """Everything about its weights but names and values: two layers of equal form hold weights of equal shapes."""
        own = tuple((key, shape) for key, shape in sorted(self.shapes.items()))
        below = (
            (key, tuple((child.kind, child.form) for child in children if child.is_filled))
            for key, children in sorted({**{k: (v,) for k, v in self.parts.items()}, **self.lists}.items())
        )
        deep = tuple(each for each in below if each[1])
        return (own, deep) if own or deep else ()

    @property
    def children(self) -> Iterator[SavedLayer]:
        """What lies directly in it."""
        yield from self.parts.values()
        for listed in self.lists.values():
            yield from listed


def saved_layers(file: h5py.File, names: Mapping[str, str] | None = None) -> SavedLayer:
    """The root of the tree in a weights file.

    Args:
        file: as `model.save_weights` writes it.
        names: of layers by their place, for files that do not hold them.
    """
    return _layer(file, "", "", names or {})


def _layer(group: h5py.Group, place: str, key: str, names: Mapping[str, str]) -> SavedLayer:
    variables = group.get(VARIABLES)
    told = variables.attrs.get("name") if variables is not None else None
    parts: dict[str, SavedLayer] = {}
    lists: dict[str, tuple[SavedLayer, ...]] = {}
    for child_key, child in group.items():
        if child_key in (VARIABLES, _GENERATOR) or not isinstance(child, h5py.Group):
            continue
        below = f"{place}/{child_key}" if place else child_key
        if VARIABLES in child:
            parts[child_key] = _layer(child, below, child_key, names)
        else:
            lists[child_key] = _listed(child, below, names)
    return SavedLayer(
        place=place,
        key=key,
        name=names.get(place) if told is None else str(told),
        shapes={} if variables is None else {k: tuple(each.shape) for k, each in variables.items()},
        parts=parts,
        lists=lists,
    )


def _listed(group: h5py.Group, place: str, names: Mapping[str, str]) -> tuple[SavedLayer, ...]:
    found = []
    for key, child in group.items():
        below = f"{place}/{key}"
        if not isinstance(child, h5py.Group):
            continue
        if _counted(key)[0] == _LIST and VARIABLES not in child:
            found.append(SavedLayer(below, key, None, {}, {}, {"": _listed(child, below, names)}))
        else:
            found.append(_layer(child, below, key, names))
    return tuple(sorted(found, key=lambda each: _counted(each.key)))


def names_in_config(config: Mapping[str, Any]) -> dict[str, str]:
    """The names of the layers by their place in the weights, from the configuration in a `.keras` file."""
    found: dict[str, str] = {}
    _names(config, "", found)
    return found


def _names(config: Mapping[str, Any], place: str, found: dict[str, str]) -> None:
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    counters: dict[str, int] = {}
    for layer in layers if isinstance(layers, list) else ():
        if not isinstance(layer, Mapping) or not isinstance(layer.get("class_name"), str):
            continue
        kind = _snake_case(layer["class_name"])
        count = counters[kind] = counters.get(kind, -1) + 1
        below = f"{place}/layers/{kind}_{count}" if count else f"{place}/layers/{kind}"
        below = below.removeprefix("/")
        name = layer["config"].get("name") if isinstance(layer.get("config"), Mapping) else None
        if isinstance(name, str):
            found[below] = name
        _names(layer, below, found)


def _snake_case(name: str) -> str:
    """As `keras.src.utils.naming.to_snake_case`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _counted(key: str) -> tuple[str, int]:
    found = _COUNTED.fullmatch(key)
    base, counter = found.groups() if found else (key, None)
    return base or "", int(counter or 0)
