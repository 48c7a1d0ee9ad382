"""Finding inputs that a model runs on, where its signature alone does not tell.

Two free axes may have to agree (the sum of two sequences), a free axis may have to be longer than a few steps (strided
convolutions) or end with a table of positions, integers may index a table inside a custom layer. Keras says none of
this. Most of it the traced graph says (`read_off_graph`); the rest is found by trying.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
from numpy.typing import ArrayLike

from pipeline.errors import BadInput
from pipeline.records import AxisRule, InputSpec, Signature
from pipeline.samples import Samples, fitting_samples
from pipeline.truth.read_off_graph import free_axes, kind_of, renamed_axes

# Shortest sizes of free axes to try; the last is what image models are made for.
_SHORTEST_AXES = (3, 16, 64, 224)
_LONGEST_WITHOUT_TABLE = 4  # times the shortest; random cases go so far
_MASK_VALUES = 2  # 0 and 1

MOST_CANDIDATES = 32


def static_batch(signature: Signature) -> int | None:
    """The batch size that an input fixes, if one does; 1 where none has a batch."""
    firsts = [spec.shape[0] for spec in signature.inputs if spec.shape]
    return next((size for size in firsts if isinstance(size, int)), 1) if "batch" not in firsts else None


def candidates(model: keras.Model, signature: Signature) -> Iterator[Signature]:
    """Signatures under which a model may run on drawn inputs, best first, no two alike, at most `MOST_CANDIDATES`.

    The first is the one that is given; the others vary what the graph may not have said: how long free axes have to
    be, whether axes of one kind have to agree, which integers are admitted, whether long sequences are.

    Args:
        model: whose embeddings bound integers that nothing else bounds.
        signature: as the graph completes it (`read_off_graph`).
    """
    seen: list[Signature] = []
    for candidate in itertools.chain([signature], _varied(model, signature)):
        if candidate not in seen:
            seen.append(candidate)
            yield candidate
        if len(seen) == MOST_CANDIDATES:
            return


def _varied(model: keras.Model, read: Signature) -> Iterator[Signature]:
    """Other lengths, axes of one kind that agree, bounds of integers, no long sequences, and these together."""
    free = free_axes(read)
    bases = [read, *([_merged(model, read)] if len(free) > 1 else [])]
    if read.axes:
        bases.append(_merged(model, read.model_copy(update={"axes": {}})))
    sizes = _SHORTEST_AXES if free else _SHORTEST_AXES[:1]
    bounds = _bounds(model, read)
    cuts: tuple[Callable[[Signature], Signature], ...] = (_as_it_is, _short) if free else (_as_it_is,)
    choices = itertools.product(*(range(len(ways)) for ways in (sizes, bases, bounds, cuts)))
    # What departs in one thing from what the graph says comes before what departs in two.
    for size, base, bound, cut in sorted(choices, key=lambda choice: sum(map(bool, choice))):
        inputs = tuple(bounds[bound](spec) for spec in bases[base].inputs)
        yield cuts[cut](bases[base].model_copy(update={"inputs": inputs, "shortest_axis": sizes[size]}))


def _bounds(model: keras.Model, signature: Signature) -> tuple[Callable[[InputSpec], InputSpec], ...]:
    """Bounds to try for integers: as they are, masks where nothing bounds them, then the smallest table's for all."""
    integers = [spec for spec in signature.inputs if "int" in spec.dtype]
    if not integers:
        return (_as_it_is,)
    tables = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    smallest = [min(tables), max(1, min(tables) // 2)] if tables else []
    open_ones = any(spec.ids_below is None for spec in integers)
    of_open = [_at_most(bound, False) for bound in (_MASK_VALUES, *smallest) if open_ones]
    return (_as_it_is, *of_open, *(_at_most(bound, True) for bound in (*smallest, _MASK_VALUES)))


def _as_it_is(whatever: Any) -> Any:
    return whatever


def _at_most(bound: int, is_for_all: bool) -> Callable[[InputSpec], InputSpec]:
    """Bounds integer inputs: those that nothing bounds, or all."""

    def bounded(spec: InputSpec) -> InputSpec:
        if "int" not in spec.dtype or (spec.ids_below is not None and not is_for_all) or bound <= spec.ids_from:
            return spec
        return spec.model_copy(update={"ids_below": min(bound, spec.ids_below or bound)})

    return bounded


def _merged(model: keras.Model, signature: Signature) -> Signature:
    """One name for the free axes of one kind (`left_time` and `right_time` become `time`): they have to agree.

    A rule that not all of them have is left out.
    """
    names = {axis: kind_of(axis) for axis in free_axes(signature)}
    of_kind = {kind: {signature.rule(axis) for axis in names if names[axis] == kind} for kind in names.values()}
    rules = {kind: rule for kind, found in of_kind.items() if len(found) == 1 for rule in found if rule != AxisRule()}
    return renamed_axes(model, signature, names, rules)


def _short(signature: Signature) -> Signature:
    """No free axis longer than is tried in random cases: a table of positions may end that no graph shows."""
    longest = _LONGEST_WITHOUT_TABLE * signature.shortest_axis
    rules = {}
    for axis in free_axes(signature):
        rule = signature.rule(axis)
        most = max(rule.smallest, longest if rule.most is None else min(longest, rule.most))
        reason = "; ".join(filter(None, (rule.reason, "it was not seen to run on longer ones")))
        rules[axis] = (
            rule
            if rule.most is not None and rule.most <= longest
            else rule.model_copy(update={"most": most, "reason": reason})
        )
    return signature.model_copy(update={"axes": rules})


def first_that_fits(found: Iterable[Signature], samples: Mapping[str, ArrayLike]) -> tuple[Signature, Samples]:
    """Where a model runs on nothing that is drawn: the first signature that real samples fit, and the samples.

    Args:
        found: signatures, best first (`candidates`); at least one.
        samples: real inputs by name.

    Raises:
        BadInput: if they fit none; the message has what is wrong with them by the first.
    """
    first: BadInput | None = None
    for signature in found:
        try:
            return signature, fitting_samples(samples, signature)
        except BadInput as refusal:
            first = first or refusal
    assert first is not None
    raise first
