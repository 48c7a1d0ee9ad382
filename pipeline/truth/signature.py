"""The signature read off a Keras model: names, shapes with named free axes, dtypes, admitted ids, padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
from keras import tree

from pipeline.graph.attributes import kept_attributes
from pipeline.graph.call import input_names, output_names, renamed_outputs
from pipeline.graph.read import INPUTS, CallGraph, TensorRef, read, required_graph
from pipeline.records import AxisRule, InputSpec, Shape, Signature, TensorSpec

BATCH = "batch"

# What users call the axes between batch and features, by rank.
_AXIS_NAMES = {2: ("time",), 3: ("time",), 4: ("height", "width"), 5: ("depth", "height", "width")}

# Layers and operations that pass ids on as they are, so that an embedding behind one still bounds the input.
_PASSES_VALUES = frozenset(
    {
        "Cast",
        "Concatenate",
        "Copy",
        "ExpandDims",
        "Flatten",
        "GetItem",
        "Identity",
        "InputLayer",
        "Permute",
        "RepeatVector",
    }
    | {"Reshape", "Slice", "Split", "SpatialDropout1D", "Squeeze", "Stack", "Transpose", "Dropout", "Convert_to_tensor"}
)

# Sizes for the batch and for free axes in two trial shapes: larger than common kernels, no two sums or products of them
# alike, and none of them what a stride leaves of another.
_TRIAL_SIZES = ((1009, 37, 41, 43, 47, 53, 59, 61, 67), (2003, 71, 73, 79, 83, 89, 97, 101, 103))

_NO_RULES: Mapping[str, AxisRule] = MappingProxyType({})


def read_signature(model: keras.Model) -> Signature:
    """The signature of a functional or sequential model.

    Names: the input layers' own; an output's dict keys joined with `/`, else the name of its layer in the model as the
    user wrote it, `_1` at a second of that name, `_out` where an input has it. The batch axis is `batch` everywhere;
    other free axes are named by their input (`source_time`), and an output's axis by the input axis it follows.

    Raises:
        BadInput: if the model has no graph to read.
    """
    graph = required_graph(model)
    sites = read(model)
    inputs = tuple(
        InputSpec(
            name=name,
            shape=_input_shape(name, tensor),
            dtype=tensor.dtype,
            ids_below=_ids_below(sites, index),
            is_masked=_is_masked(sites, index),
        )
        for index, (name, tensor) in enumerate(zip(input_names(model), graph.inputs, strict=True))
    )
    names = output_names(model)
    shapes = output_shapes(model, inputs, names)
    outputs = tuple(
        TensorSpec(name=name, shape=shape, dtype=tensor.dtype)
        for name, shape, tensor in zip(names, shapes, graph.outputs, strict=True)
    )
    return Signature(inputs=inputs, outputs=outputs, renamed=renamed_outputs(model))


def _input_shape(name: str, tensor: Any) -> Shape:
    between = _AXIS_NAMES.get(len(tensor.shape), ())
    axes = (BATCH, *(f"{name}_{axis}" for axis in between))
    return tuple(
        size if size is not None else (axes[index] if index < len(axes) else f"{name}_axis{index}")
        for index, size in enumerate(tensor.shape)
    )


def output_shapes(
    model: keras.Model, inputs: tuple[InputSpec, ...], names: tuple[str, ...], rules: Mapping[str, AxisRule] = _NO_RULES
) -> list[Shape]:
    """The outputs' shapes, each free axis named after the input axis that it is as long as in two trials.

    Args:
        model: a functional or sequential model.
        inputs: its inputs.
        names: of its outputs.
        rules: which sizes free axes may have; others are not tried.
    """
    graph = required_graph(model)
    free = [axis for spec in inputs for axis in spec.shape if isinstance(axis, str)]
    axes = list(dict.fromkeys([BATCH, *free]))
    tried = trial_sizes(axes, rules)
    trials = [_trial(graph, inputs, dict(zip(axes, sizes, strict=False))) for sizes in tried]
    seen_in = [trial for trial in trials if trial is not None]
    sizes_of: dict[tuple[Any, ...], str] = dict(zip(zip(*tried, strict=True), axes, strict=False))
    shapes = []
    for number, (name, tensor) in enumerate(zip(names, graph.outputs, strict=True)):
        complete = len(seen_in) == len(_TRIAL_SIZES)
        seen = list(zip(*(trial[number] for trial in seen_in), strict=True)) if complete else []
        shapes.append(
            tuple(
                size if size is not None else named_axis(index, seen, sizes_of, f"{name}_axis{index}")
                for index, size in enumerate(tensor.shape)
            )
        )
    return shapes


def trial_sizes(axes: Sequence[str], rules: Mapping[str, AxisRule]) -> tuple[tuple[int, ...], ...]:
    """Two sizes for each axis: its own two, or those nearest to them that its rule admits and no other axis has."""
    taken: set[int] = set()
    trials = []
    for wanted in _TRIAL_SIZES:
        sizes: list[int] = []
        for axis, size in zip(axes, wanted, strict=False):
            admitted = [each for each in _admitted(rules.get(axis, AxisRule()), size) if each not in taken]
            sizes.append(admitted[0] if admitted else rules[axis].smallest)
            taken.add(sizes[-1])
        trials.append(tuple(sizes))
    return tuple(trials)


def _admitted(rule: AxisRule, wanted: int) -> Iterator[int]:
    """Sizes that a rule admits: from the one that is wanted upwards, then from the one below downwards."""
    above = rule.rounded_up(max(wanted, rule.least))
    nearby = range(len(_TRIAL_SIZES[0]) * len(_TRIAL_SIZES))
    sizes = (*(above + step * rule.multiple for step in nearby), *(above - step * rule.multiple for step in nearby))
    below = () if rule.most is None else (rule.rounded_down(rule.most) - step * rule.multiple for step in nearby)
    return (size for size in (*sizes, *below) if size > 0 and rule.admits(size))


def named_axis(
    index: int, seen: Sequence[tuple[Any, ...]], sizes_of: Mapping[tuple[Any, ...], str], own: str
) -> int | str:
    """The size of an axis that is the same in both trials, else the name of the input axis that it follows."""
    # No trial could be made, or a layer's own shape inference says None whatever it is given: the first axis of a Keras
    # output is the batch, which the frozen answers then have to bear out.
    if not seen or seen[index] == (None,) * len(seen[index]):
        return BATCH if index == 0 else own
    sizes = set(seen[index])
    is_static = len(sizes) == 1 and None not in sizes
    return int(sizes.pop()) if is_static else sizes_of.get(seen[index], own)


def _trial(graph: Any, inputs: tuple[InputSpec, ...], sizes: dict[str, int]) -> list[tuple[int | None, ...]] | None:
    """The outputs' shapes for these sizes of the free axes, or None if Keras can't infer them."""
    tensors = [
        keras.KerasTensor([sizes.get(axis) if isinstance(axis, str) else axis for axis in spec.shape], dtype=spec.dtype)
        for spec in inputs
    ]
    try:
        with kept_attributes([graph]):
            outputs = graph.compute_output_spec(tree.pack_sequence_as(graph._inputs_struct, tensors))
    except Exception:  # noqa: BLE001 - shape inference runs the layers' own code; the names of axes are all it is for
        return None
    return [tuple(tensor.shape) for tensor in tree.flatten(outputs)]


def _ids_below(graph: CallGraph, index: int) -> int | None:
    bounds = [
        int(layer.input_dim if isinstance(layer, keras.layers.Embedding) else layer.num_tokens)
        for layer in _readers(graph, TensorRef(INPUTS, index))
        if isinstance(layer, keras.layers.Embedding | keras.layers.CategoryEncoding) and _takes_ids(layer)
    ]
    return min(bounds, default=None)


def _takes_ids(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Embedding) or layer.output_mode != "count"


def _is_masked(graph: CallGraph, index: int) -> bool:
    return any(
        getattr(layer, "mask_zero", False) or (isinstance(layer, keras.layers.Masking) and layer.mask_value == 0)
        for layer in _readers(graph, TensorRef(INPUTS, index))
    )


def _readers(graph: CallGraph, ref: TensorRef) -> Iterator[Any]:
    """The layers that read `ref` itself, or read it through sites that pass values on."""
    reached = {ref}
    for index, site in enumerate(graph.sites):  # in call order, so that what is passed on is known before it is read
        if reached.isdisjoint(leaf for leaf in tree.flatten((site.args, site.kwargs)) if isinstance(leaf, TensorRef)):
            continue
        yield site.layer
        if type(site.layer).__name__ in _PASSES_VALUES:
            reached |= {TensorRef(index, number) for number in range(site.n_outputs)}
