"""Whether an ONNX file stores each weight once, as its weight map says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import as_strided
from onnx import ModelProto
from pydantic import TypeAdapter, ValidationError

from pipeline.audit import described, initializer_uses, inner_tensors
from pipeline.duplicates import elements
from pipeline.errors import BadInput
from pipeline.records import WEIGHT_MAP_KEY, Block, Check, InitializerUse, WeightPlacement

WeightMap = tuple[WeightPlacement, ...]
_WEIGHT_MAP = TypeAdapter(WeightMap)


def metadata_weight_map(model: ModelProto) -> WeightMap | None:
    """The weight map in the file's own metadata, or None if it carries none.

    Raises:
        BadInput: if what it carries is no weight map.
    """
    texts = [entry.value for entry in model.metadata_props if entry.key == WEIGHT_MAP_KEY]
    if not texts:
        return None
    try:
        return _WEIGHT_MAP.validate_json(texts[0])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"metadata {WEIGHT_MAP_KEY!r} is no weight map: {where}: {first['msg']}") from error


def check_sharing(model: ModelProto, folder: Path, weight_map: WeightMap | None) -> tuple[Check, ...]:
    """Hold the stored tensors of `model` against its weight map; external data lies in `folder`.

    Without a map the tensors of equal values are reported, and decide nothing: two variables that happen to be equal
    are two weights.
    """
    uses = initializer_uses(model)
    stored = _Stored({tensor.name: tensor for tensor in model.graph.initializer}, tuple(inner_tensors(model)), folder)
    if weight_map is None:
        return (_report_by_value(stored, uses),)
    faults = [fault for placement in weight_map for fault in _misplaced(stored, placement)]
    placed = Check(name="every weight lies where the weight map says", passed=not faults, detail=_listed(faults))
    if faults:
        return (placed,)
    return (placed, *_check_stored_once(stored, weight_map, uses), _check_read(uses))


@dataclass(frozen=True)
class _Stored:
    """What a file stores: initializers of the main graph by name, all other tensors as they come."""

    tensors: dict[str, onnx.TensorProto]
    inner: tuple[onnx.TensorProto, ...]
    folder: Path

    def values(self, tensor: onnx.TensorProto) -> np.ndarray:
        """The elements of `tensor`, in its own shape."""
        return elements(tensor, self.folder)

    def weight(self, placement: WeightPlacement) -> np.ndarray:
        """The elements of a weight that lies in an initializer, in the order in which they are stored."""
        values = self.values(self.tensors[placement.initializer or ""])
        if not placement.blocks:
            return values
        return np.concatenate([values[_box(block)].ravel() for block in placement.blocks])


# --- where a weight lies ------------------------------------------------------------------------------------------


def _misplaced(stored: _Stored, placement: WeightPlacement) -> Iterator[str]:
    weight, initializer = placement.weight, placement.initializer
    if initializer is None:
        if placement.blocks:
            yield f"weight {weight!r} has blocks but no initializer"
        return
    if initializer not in stored.tensors:
        yield f"weight {weight!r} should lie in initializer {initializer!r}, which does not exist"
        return
    use = described(stored.tensors[initializer])
    if use.dtype != placement.dtype:
        yield f"weight {weight!r} is {placement.dtype}, its initializer {initializer!r} {use.dtype}"
    if not placement.blocks and use.shape != placement.shape:
        yield f"weight {weight!r} has shape {placement.shape}, its initializer {initializer!r} {use.shape}"
    broken = [block for block in placement.blocks if not _lies_inside(block, use, placement)]
    if broken:
        yield f"weight {weight!r} has a block outside its initializer {initializer!r} or outside itself: {broken[0]}"


def _lies_inside(block: Block, use: InitializerUse, placement: WeightPlacement) -> bool:
    ranks = {len(block.start), len(block.shape), len(block.strides), len(use.shape)}
    if len(ranks) != 1 or min((*block.start, *block.strides, block.offset), default=0) < 0:
        return False
    if min(block.shape, default=1) < 1:
        return False
    ends = (start + size for start, size in zip(block.start, block.shape, strict=True))
    last = block.offset + sum((n - 1) * stride for n, stride in zip(block.shape, block.strides, strict=True))
    return all(end <= size for end, size in zip(ends, use.shape, strict=True)) and last < placement.size


# --- stored once --------------------------------------------------------------------------------------------------


def _check_stored_once(stored: _Stored, weight_map: WeightMap, uses: tuple[InitializerUse, ...]) -> Iterator[Check]:
    by_initializer: dict[str, list[WeightPlacement]] = {}
    for placement in weight_map:
        if placement.initializer is not None:
            by_initializer.setdefault(placement.initializer, []).append(placement)
    crowded = (_crowded(stored, initializer, placements) for initializer, placements in by_initializer.items())
    faults = [fault for found in crowded for fault in found]
    yield Check(name="no two weights share elements", passed=not faults, detail=_listed(faults))
    copies = [*_not_once(weight_map), *_copies(stored, by_initializer)]
    weights = sum(described(stored.tensors[name]).size for name in by_initializer)
    other = sum(use.size for use in uses) - weights
    detail = f"{len(by_initializer)} initializers of weights with {weights:,} bytes, {other:,} bytes of other tensors"
    yield Check(name="each weight is stored once", passed=not copies, detail=_listed(copies) or detail)


def by_weight(weight_map: WeightMap) -> dict[str, list[WeightPlacement]]:
    """The places of each weight that the file stores: a weight may lie in several initializers."""
    places: dict[str, list[WeightPlacement]] = {}
    for placement in weight_map:
        if placement.initializer is not None:
            places.setdefault(placement.weight, []).append(placement)
    return places


def _not_once(weight_map: WeightMap) -> Iterator[str]:
    """Weights of which the file holds an element twice or not at all; a weight may lie in several initializers."""
    for weight, placements in by_weight(weight_map).items():
        size = placements[0].size
        if any(placement.size != size for placement in placements):
            yield f"weight {weight!r} has several shapes in the weight map"
            continue
        held = np.zeros(size, dtype=np.bool_)
        room = size - sum(_mark(placement, held) for placement in placements)
        missing = int(np.count_nonzero(~held))
        if missing or room:
            where = ", ".join(repr(placement.initializer) for placement in placements)
            yield f"weight {weight!r} in {where}: {missing - room} elements are stored again, {missing} are missing"


def _mark(placement: WeightPlacement, held: np.ndarray) -> int:
    """Mark in `held` the elements of the weight that the placement holds; their number, repeats counted."""
    if not placement.blocks:
        held[...] = True
    for block in placement.blocks:
        as_strided(held[block.offset :], block.shape, block.strides)[...] = True
    return _held(placement)


def _crowded(stored: _Stored, initializer: str, placements: list[WeightPlacement]) -> list[str]:
    """Faults of one initializer: two weights at one place, or something beside the weights that is not zero."""
    whole = [placement.weight for placement in placements if not placement.blocks]
    if whole and len(placements) > 1:
        names = " and ".join(repr(placement.weight) for placement in placements)
        return [f"weights {names} are one initializer {initializer!r}, which Keras keeps apart"]
    if whole:
        return []
    values = stored.values(stored.tensors[initializer])
    taken = np.zeros(values.shape, dtype=np.bool_)
    for placement in placements:
        for block in placement.blocks:
            box = taken[_box(block)]
            if box.any():
                return [f"blocks of weight {placement.weight!r} overlap others in initializer {initializer!r}"]
            box[...] = True
    beside = int(np.count_nonzero(values[~taken]))
    return [f"initializer {initializer!r} has {beside} elements beside its weights that are not zero"] if beside else []


def _box(block: Block) -> tuple[Any, ...]:
    """The index of a block in its initializer; the dots make a view of one without axes too."""
    return (*(slice(start, start + size) for start, size in zip(block.start, block.shape, strict=True)), ...)


def _copies(stored: _Stored, by_initializer: dict[str, list[WeightPlacement]]) -> list[str]:
    """Tensors outside the map that hold a weight's elements again, in any order (a folded transpose is one).

    Constant ones (a zero bias, a zero state) are no copies of each other.
    """
    others = [tensor for name, tensor in stored.tensors.items() if name not in by_initializer]
    tensors = [*others, *stored.inner]
    sizes = {math.prod(tensor.dims) for tensor in tensors}  # no other weight need be sorted, which is slow
    weights = {
        _fingerprint(stored.weight(placement)): placement.weight
        for placements in by_initializer.values()
        for placement in placements
        if _held(placement) in sizes
    }
    found = []
    for tensor in tensors:
        fingerprint = _fingerprint(stored.values(tensor))
        if fingerprint is not None and fingerprint in weights:
            found.append(f"tensor {tensor.name!r} holds the elements of weight {weights[fingerprint]!r} again")
    return found


def _held(placement: WeightPlacement) -> int:
    """How many elements of the weight lie at this place."""
    return sum(math.prod(block.shape) for block in placement.blocks) if placement.blocks else placement.size


def _fingerprint(values: np.ndarray) -> tuple[str, str] | None:
    """What two tensors of the same elements have in common, whatever their order; None for a constant one."""
    ordered = np.sort(values, axis=None)
    if ordered.size < 2 or ordered[0] == ordered[-1]:
        return None
    return ordered.dtype.name, hashlib.sha256(ordered.tobytes()).hexdigest()


def _check_read(uses: tuple[InitializerUse, ...]) -> Check:
    unread = [f"{use.name!r} ({use.size:,} bytes)" for use in uses if not use.readers]
    shared = sum(len(use.readers) > 1 for use in uses)
    detail = f"read by no node: {', '.join(unread)}" if unread else f"{shared} of {len(uses)} by several nodes"
    return Check(name="every initializer is read", passed=not unread, detail=detail)


# --- without a weight map -----------------------------------------------------------------------------------------


def _report_by_value(stored: _Stored, uses: tuple[InitializerUse, ...]) -> Check:
    fingerprints = [_fingerprint(stored.values(tensor)) for tensor in (*stored.tensors.values(), *stored.inner)]
    judged = [fingerprint for fingerprint in fingerprints if fingerprint is not None]
    again = len(judged) - len(set(judged))
    total = sum(use.size for use in uses)
    detail = f"no weight map: {len(uses)} stored tensors, {total:,} bytes, {again} of them hold another's elements"
    return Check(name="sharing by values", passed=True, detail=detail)


def _listed(faults: list[str]) -> str:
    return "; ".join(faults)
