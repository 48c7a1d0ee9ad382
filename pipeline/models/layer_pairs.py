"""Which layer of a weights file fills which layer of a model: by name, never by order where that is a guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.models.saved_layers import SavedLayer


@dataclass
class Pairs:
    """What was found.

    Attributes:
        places: of the groups of weights in the file, by their place in the model.
        missing: layers of the model that the file has no weights for.
        unclear: layers for which the file has several candidates or unlike ones, with the reason.
    """

    places: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    @property
    def are_whole(self) -> bool:
        """Whether every layer of the model has its weights."""
        return not self.missing and not self.unclear


class NoSuchLayer(ValueError):
    """A layer in a user's map is in no file."""


def paired(wanted: SavedLayer, stored: SavedLayer, model: str, given: Mapping[str, str] | None = None) -> Pairs:
    """Find the weights of each layer.

    A layer that somebody named takes the weights of the layer of its name in the same place. Where Keras made up
    names, they count for nothing: these layers are paired by their order if both sides have the same ones, of the same
    classes and shapes. A model that is a submodel of the stored one is found in it by its name, or by its layers where
    all of them are named. Where the file holds no names at all, every name counts for nothing.

    Args:
        wanted: the model, as Keras would save it.
        stored: the file.
        model: the model's name.
        given: names of layers in the file (`tower/dense`) by names of layers in the model; they come first.

    Raises:
        NoSuchLayer: if `given` names a layer that is not there.
    """
    if all(each.name is None for _, each in titles(stored)):
        wanted = _without_names(wanted)
    chosen = _chosen(wanted, stored, given or {})
    whole = Pairs()
    _pair(wanted, stored, "", whole, chosen)
    if whole.are_whole:
        return whole
    fits = []
    for submodel in _submodels(stored):
        within = Pairs()
        _pair(wanted, submodel, "", within, chosen)
        if within.are_whole and (submodel.name == model or _all_named(wanted)):
            fits.append((submodel.name == model, within))
    of_its_name = [pairs for is_named, pairs in fits if is_named]
    candidates = of_its_name or [pairs for _, pairs in fits]
    return candidates[0] if len(candidates) == 1 else whole


def titles(layer: SavedLayer, within: str = "") -> Iterator[tuple[str, SavedLayer]]:
    """Every layer below one, as a user would call it: the names on the way, by `/`."""
    for child in layer.children:
        title = _join(within, child)
        yield title, child
        yield from titles(child, title)


def _without_names(layer: SavedLayer) -> SavedLayer:
    return replace(
        layer,
        name=None,
        parts={key: _without_names(part) for key, part in layer.parts.items()},
        lists={key: tuple(_without_names(each) for each in listed) for key, listed in layer.lists.items()},
    )


def _submodels(layer: SavedLayer) -> Iterator[SavedLayer]:
    return (each for _, each in titles(layer) if "layers" in each.lists)


def _all_named(layer: SavedLayer) -> bool:
    return all(each.is_named for each in layer.lists.get("layers", ()) if each.is_filled)


def _chosen(wanted: SavedLayer, stored: SavedLayer, given: Mapping[str, str]) -> dict[str, SavedLayer]:
    """The layers of the file by the place of the layer in the model that a user's map gives them to."""
    chosen = {}
    ours, theirs = dict(titles(wanted)), dict(titles(stored))
    for name, source in given.items():
        if name not in ours:
            raise NoSuchLayer(f"the model has no layer {name!r}; its layers: {_some(ours)}")
        if source not in theirs:
            raise NoSuchLayer(f"the file has no layer {source!r}; its layers: {_some(theirs)}")
        chosen[ours[name].place] = theirs[source]
    return chosen


def _pair(wanted: SavedLayer, stored: SavedLayer, title: str, pairs: Pairs, chosen: Mapping[str, SavedLayer]) -> None:
    if wanted.shapes and wanted.shapes != stored.shapes:
        told = f"{title}: it has weights of {_shapes(wanted)}, the file {_shapes(stored)}"
        (pairs.unclear if stored.shapes else pairs.missing).append(told if stored.shapes else title)
    elif wanted.shapes:
        pairs.places[wanted.place] = stored.place
    for key, part in wanted.parts.items():
        _pair_one(part, stored.parts.get(key), _join(title, part), pairs, chosen)
    for key, layers in wanted.lists.items():
        _pair_lists(layers, stored.lists.get(key, ()), title, pairs, chosen)


def _pair_one(
    wanted: SavedLayer, stored: SavedLayer | None, title: str, pairs: Pairs, chosen: Mapping[str, SavedLayer]
) -> None:
    source = chosen.get(wanted.place, stored)
    if source is not None:
        _pair(wanted, source, title, pairs, chosen)
    elif wanted.is_filled:
        pairs.missing.append(title)


def _pair_lists(
    wanted: Sequence[SavedLayer],
    stored: Sequence[SavedLayer],
    title: str,
    pairs: Pairs,
    chosen: Mapping[str, SavedLayer],
) -> None:
    filled = [each for each in wanted if each.is_filled]
    nameless = [each for each in filled if not each.is_named and each.place not in chosen]
    for each in filled:
        if each in nameless:
            continue
        same = [other for other in stored if other.is_named and other.name == each.name and other.is_filled]
        _pair_one(each, same[0] if len(same) == 1 else None, _join(title, each), pairs, chosen)
    others = [each for each in stored if each.is_filled and not each.is_named]
    if [(each.kind, each.form) for each in nameless] == [(each.kind, each.form) for each in others]:
        for each, other in zip(nameless, others, strict=True):
            _pair_one(each, other, _join(title, each), pairs, chosen)
        return
    for each in nameless:
        alike = [other for other in others if (other.kind, other.form) == (each.kind, each.form)]
        if alike:
            pairs.unclear.append(
                f"{_join(title, each)}: Keras made up its name, and {len(alike)} of the file's are alike"
            )
        else:
            pairs.missing.append(_join(title, each))


def _join(title: str, layer: SavedLayer) -> str:
    own = layer.name or layer.key
    return f"{title}/{own}" if title else own


def _shapes(layer: SavedLayer) -> str:
    return ", ".join(str(shape) for _, shape in sorted(layer.shapes.items())) or "none"


def _some(names: Mapping[str, SavedLayer]) -> str:
    filled = [name for name, layer in names.items() if layer.is_filled]
    return ", ".join(filled[:8]) + (f" and {len(filled) - 8} more" if len(filled) > 8 else "")
