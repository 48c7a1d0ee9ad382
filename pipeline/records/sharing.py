"""Which layers a model shares, and where each weight lies in its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from pipeline.records.base import Record


class Block(Record):
    """A box of an initializer that holds elements of a weight, as `numpy.lib.stride_tricks.as_strided` would read them.

    `initializer[start : start + shape] == as_strided(weight.ravel()[offset:], shape, strides)`, strides in elements.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]


class WeightPlacement(Record):
    """Where one Keras weight lies in the ONNX file, and which call sites read it.

    `initializer` is None for a weight that no node reads. Without `blocks` the initializer is the weight: same shape,
    same order. With them, everything outside the blocks of all weights in that initializer is zero.
    """

    weight: str
    shape: tuple[int, ...]
    dtype: str
    initializer: str | None
    blocks: tuple[Block, ...] = ()
    call_sites: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements of the Keras weight."""
        return int(np.prod(self.shape, dtype=np.int64))


# Under this key the metadata of an ONNX file carries its weight map.
WEIGHT_MAP_KEY = "shared_layers_weight_map"
# And under this one the opset that its nodes are of.
OPSET_KEY = "shared_layers_opset"


def weight_map_text(weight_map: Iterable[WeightPlacement]) -> str:
    """The weight map as the JSON text that an ONNX file carries."""
    return json.dumps([entry.model_dump(mode="json") for entry in weight_map], separators=(",", ":"))


class SharedLayer(Record):
    """A layer with two or more call sites, with the shape of its first input at each."""

    layer: str
    kind: str
    call_sites: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    parameters: int


class Parameters(Record):
    """Elements of all weights: `stored` of the model as it is, `unshared` with a copy for each call site."""

    stored: int
    unshared: int


class Sharing(Record):
    """What is called at two or more places: a layer, or a submodel with its layers below.

    Attributes:
        layer: its path at the first call.
        kind: its class.
        call_sites: the labels of its calls.
        input_shapes: the shape of the first input at each, empty where it is not known.
        parameters: elements of its weights.
        inside: the path of the layer whose own code makes all of its calls; empty where they lie in the graph.
        layers: what is shared because it is part of this one, and called nowhere else.
    """

    layer: str
    kind: str
    call_sites: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    parameters: int
    inside: str = ""
    layers: tuple[Sharing, ...] = ()


# Lines about the layers of one shared submodel: a backbone has hundreds.
_MOST_LINES = 20


class Description(Record):
    """What sharing there is in a model: what is shared, the weights that saves, and the graph as Mermaid text.

    `shared_layers` are the layers with several call sites in the graph, submodels seen through: of those an unshared
    twin has copies. `sharing` has all that is shared as a tree, with what runs several times inside a layer's own code;
    `unseen` says inside which layers not all could be seen, and why.
    """

    model: str
    call_sites: tuple[str, ...]
    shared_layers: tuple[SharedLayer, ...]
    parameters: Parameters
    mermaid: str
    sharing: tuple[Sharing, ...] = ()
    unseen: dict[str, str] = {}

    @property
    def may_share(self) -> bool:
        """Whether something is shared, or could be where nothing was seen."""
        return bool(self.shared_layers or self.sharing or self.unseen)

    def __str__(self) -> str:
        stored, unshared = self.parameters.stored, self.parameters.unshared
        lines = [f"{self.model}: {stored:,} parameters stored, {unshared:,} with a copy for each call site"]
        for shared in self.sharing:
            lines += [f"  {line}" for line in _told(shared)]
        if any(shared.inside for shared in self.sharing):
            lines.append("  what is shared inside a layer's own code stays shared in the unshared twin")
        for path, reason in self.unseen.items():
            lines.append(f"  what is shared inside {path} could not be seen: {reason}")
        return "\n".join(lines if self.may_share else [*lines, "  no layer is called at two places"])


def _told(shared: Sharing) -> list[str]:
    """Lines about something shared; behind the first, where it is called or on what, and the layers below it."""
    below = [f"  {line}" for each in shared.layers for line in _told_below(each, shared)]
    left = len(below) - _MOST_LINES
    below = below if left < 2 else [*below[:_MOST_LINES], f"  and {left} more (--json has all)"]
    return [_first_line(shared), *(f"  {line}" for line in _places(shared)), *below]


def _first_line(shared: Sharing) -> str:
    place = f" inside {shared.inside}" if shared.inside else ""
    name = shared.layer.removeprefix(f"{shared.inside}/") if shared.inside else shared.layer
    return f"{name}: {len(shared.call_sites)} call sites{place} ({shared.kind}, {_size(shared)})"


def _places(shared: Sharing) -> list[str]:
    """Its call sites, where their names say more than the layer's; else what it is called on."""
    if any(site.rpartition("/call_")[0] != shared.layer for site in shared.call_sites):
        return [f"{site} {shape}" for site, shape in zip(shared.call_sites, shared.input_shapes, strict=True)]
    shapes = [str(shape) for shape in dict.fromkeys(shared.input_shapes) if shape]
    return [f"called on {' and '.join(shapes)}"] if shapes else []


def _told_below(shared: Sharing, around: Sharing) -> list[str]:
    """Lines about a part of something shared: how often it is called is said where that is not as often."""
    name = shared.layer.removeprefix(f"{around.layer}/")
    is_as_often = len(shared.call_sites) == len(around.call_sites)
    count = "" if is_as_often else f": {len(shared.call_sites)} call sites"
    inner = [f"  {line}" for each in shared.layers for line in _told_below(each, shared)]
    return [f"{name}{count} ({shared.kind}, {_size(shared)})", *inner]


def _size(shared: Sharing) -> str:
    return f"{shared.parameters:,} parameters" if shared.parameters else "no weights"
