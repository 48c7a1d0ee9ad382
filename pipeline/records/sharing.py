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


class Description(Record):
    """What sharing there is in a model: the shared layers, the weights they save, and the graph as Mermaid text."""

    model: str
    call_sites: tuple[str, ...]
    shared_layers: tuple[SharedLayer, ...]
    parameters: Parameters
    mermaid: str

    def __str__(self) -> str:
        stored, unshared = self.parameters.stored, self.parameters.unshared
        lines = [f"{self.model}: {stored:,} parameters stored, {unshared:,} with a copy for each call site"]
        for shared in self.shared_layers:
            lines.append(
                f"  {shared.layer} ({shared.kind}): {shared.parameters:,} parameters, "
                f"{len(shared.call_sites)} call sites"
            )
            lines += [f"    {site} {shape}" for site, shape in zip(shared.call_sites, shared.input_shapes, strict=True)]
        return "\n".join(lines if self.shared_layers else [*lines, "  no layer is called at two places"])
