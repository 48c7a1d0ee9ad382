"""What the traced graph adds to a signature: axes that agree, sizes that fit, integers that are admitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from pipeline.records import AxisRule, InputSpec, Signature, TensorSpec
from pipeline.truth.axis_search import Found, Sizes, search
from pipeline.truth.index_bounds import Integers, index_bounds
from pipeline.truth.signature import BATCH, named_axis, output_shapes, trial_sizes
from pipeline.truth.sized_graph import Misfit, SizedGraph, TracedGraph

_ROWS = 3  # of the batch at which sizes are tried: no common size of another axis


def read_off_graph(model: keras.Model, signature: Signature, graph: TracedGraph) -> Signature:
    """The signature with what the graph adds to it.

    Args:
        model: a functional or sequential model.
        signature: as read off its layers.
        graph: of the model, traced for this signature.
    """
    return _with_bounds(_with_shapes(_with_rules(model, signature, graph), graph), graph)


def free_axes(signature: Signature) -> tuple[str, ...]:
    """The free axes but the batch, in the order in which inputs have them."""
    named = (axis for spec in signature.inputs for axis in spec.shape if isinstance(axis, str) and axis != BATCH)
    return tuple(dict.fromkeys(named))


def kind_of(axis: str) -> str:
    """What an axis is called whatever its input: `time` for `left_time`."""
    return axis.rpartition("_")[2]


def renamed_axes(
    model: keras.Model, signature: Signature, names: Mapping[str, str], rules: Mapping[str, AxisRule]
) -> Signature:
    """The signature with other names for free axes, the outputs' free axes named after them anew."""
    inputs = tuple(
        spec.model_copy(
            update={"shape": tuple(names.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape)}
        )
        for spec in signature.inputs
    )
    shapes = output_shapes(model, inputs, tuple(spec.name for spec in signature.outputs), rules)
    outputs = []
    for spec, shape in zip(signature.outputs, shapes, strict=True):
        known = tuple(new if isinstance(old, str) else old for old, new in zip(spec.shape, shape, strict=True))
        outputs.append(spec.model_copy(update={"shape": known}))
    return signature.model_copy(update={"inputs": inputs, "outputs": tuple(outputs), "axes": dict(rules)})


# --- axes ---------------------------------------------------------------------------------------------------------


def _with_rules(model: keras.Model, signature: Signature, traced: TracedGraph) -> Signature:
    axes = free_axes(signature)

    def ask(sizes: Mapping[str, int]) -> Misfit | None:
        sized = traced.at(sizes, _ROWS)
        return sized if isinstance(sized, Misfit) else None

    found = search(axes, kind_of, ask, traced.rows(), Misfit.numbers) if axes else None
    if found is None:
        return signature
    names = _names(found.groups)
    rules = _rules(found, names, traced)
    if not rules and all(axis == name for axis, name in names.items()):
        return signature
    return renamed_axes(model, signature, names, rules)


def _names(groups: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """The name of each axis: its own, or of those that agree what all are called (`time`), if no other axis is."""
    kinds = Counter(kind for group in groups for kind in {kind_of(axis) for axis in group})
    names: dict[str, str] = {}
    for group in groups:
        kind = kind_of(group[0])
        is_common = len(group) > 1 and {kind_of(axis) for axis in group} == {kind} and kinds[kind] == 1
        names |= dict.fromkeys(group, kind if is_common else group[0])
    return names


def _rules(found: Found[Misfit], names: Mapping[str, str], traced: TracedGraph) -> dict[str, AxisRule]:
    return {
        names[group[0]]: AxisRule(
            least=sizes.least,
            most=sizes.most,
            multiple=sizes.multiple,
            remainder=sizes.remainder,
            reason=_reason(sizes, traced),
        )
        for group, sizes in zip(found.groups, found.sizes, strict=True)
        if not sizes.is_free
    }


def _reason(sizes: Sizes[Misfit], traced: TracedGraph) -> str:
    """Why the sizes just beyond do not fit: the table that ends there, or what TensorFlow says of them."""
    return "; ".join(dict.fromkeys(_why(size, misfit, sizes, traced) for size, misfit in sizes.refused))


def _why(size: int, misfit: Misfit, sizes: Sizes[Misfit], traced: TracedGraph) -> str:
    rows = misfit.rows or sizes.most
    table = None if rows is None or size <= rows else traced.table_of(misfit, rows)
    if table is not None:
        return f"the table '{table}' has {rows} rows"
    if misfit.rows is not None:
        return f"what positions are looked up in has {misfit.rows} rows"
    return f"at {size} TensorFlow says: {misfit.message}"


# --- shapes of outputs --------------------------------------------------------------------------------------------


def _with_shapes(signature: Signature, traced: TracedGraph) -> Signature:
    """With the outputs' sizes as TensorFlow infers them: Keras' own inference is wrong of some layers.

    Of the scores of `MultiHeadAttention`, for one: they have as many columns as there are values, not queries.
    """
    axes = [BATCH, *free_axes(signature)]
    tried = trial_sizes(axes, signature.axes)
    graphs = [_at(signature, traced, dict(zip(axes, sizes, strict=False))) for sizes in tried]
    sized = [graph.shapes() for graph in graphs if not isinstance(graph, Misfit)]
    if len(sized) < len(tried):
        return signature
    sizes_of: dict[tuple[Any, ...], str] = dict(zip(zip(*tried, strict=True), axes, strict=False))
    outputs = []
    for spec, *shapes in zip(signature.outputs, *sized, strict=True):
        if all(shape is not None and len(shape) == len(spec.shape) for shape in shapes):
            seen = list(zip(*shapes, strict=True))
            spec = spec.model_copy(update={"shape": tuple(_sizes_told(spec, seen, sizes_of))})
        outputs.append(spec)
    return signature.model_copy(update={"outputs": tuple(outputs)})


def _sizes_told(
    spec: TensorSpec, seen: Sequence[tuple[int | None, ...]], sizes_of: Mapping[tuple[Any, ...], str]
) -> Iterator[int | str]:
    """The size or name of each axis: Keras' own where TensorFlow leaves it open, or where it follows no input's."""
    for index, (told, sizes) in enumerate(zip(spec.shape, seen, strict=True)):
        follows_none = f"{spec.name}_axis{index}" if told in sizes_of.values() or isinstance(told, int) else told
        yield told if None in sizes else named_axis(index, seen, sizes_of, follows_none)


def _at(signature: Signature, traced: TracedGraph, sizes: Mapping[str, int]) -> SizedGraph | Misfit:
    """The graph at sizes for the axes of a signature, which may have other names than when it was traced."""
    names = {
        old: new
        for before, now in zip(traced.signature.inputs, signature.inputs, strict=True)
        for old, new in zip(before.shape, now.shape, strict=True)
        if isinstance(old, str) and isinstance(new, str)
    }
    return traced.at({old: sizes[new] for old, new in names.items() if new != BATCH}, sizes.get(BATCH, 1))


# --- integers -----------------------------------------------------------------------------------------------------


def _with_bounds(signature: Signature, traced: TracedGraph) -> Signature:
    """With bounds of integers, read at the smallest sizes: what is indexed may be as short as those."""
    sized = _at(signature, traced, {axis: _smallest(signature, axis) for axis in free_axes(signature)})
    if isinstance(sized, Misfit):
        return signature
    bounds = index_bounds(sized)
    inputs = tuple(_bounded(spec, bounds.get(spec.name, Integers())) for spec in signature.inputs)
    return signature.model_copy(update={"inputs": inputs})


def _smallest(signature: Signature, axis: str) -> int:
    rule = signature.rule(axis)
    size = rule.rounded_up(max(rule.least, signature.shortest_axis))
    return size if rule.admits(size) else rule.smallest


def _bounded(spec: InputSpec, found: Integers) -> InputSpec:
    below = min((each for each in (spec.ids_below, found.ids_below) if each is not None), default=None)
    least = found.ids_from if below is None or found.ids_from < below else 0
    bounds = {"ids_below": below, "ids_from": max(spec.ids_from, least)}
    return spec.model_copy(update={**bounds, "ids_at": found.ids_at, "ids_between": found.between})
