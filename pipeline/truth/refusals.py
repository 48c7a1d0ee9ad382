"""What no artifact could answer as Keras does is refused before anything is asked of Keras.

Strings and words, randomness that stays on at inference, state that a call leaves behind, sparse and ragged tensors,
precisions that onnxruntime has no kernels for. Most of it a layer says of itself; code that is not Keras' own, or that
computes in float64, is looked at by tracing that one call (`effects`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers, tree

from pipeline.errors import BadInput
from pipeline.graph.read import INPUTS, CallGraph, CallSite, TensorRef, graph_of, read
from pipeline.truth.effects import Effects, effects_of, is_seed, sized_by_numbers

_KEEPS_STATE = (
    "keeps its state from one call to the next (stateful=True), which no artifact does",
    "make the state an input and an output (initial_state=..., return_state=True) and leave stateful out",
)
_LOOKS_UP_WORDS = (
    "turns text into numbers or back, which is not exported",
    "look words up outside the model and make their ids the input or the output",
)
_HASHES = ("hashes, which ONNX can't express", "hash outside the model and make the bins the input")
_TAKES_STRINGS = ("takes strings, which are not exported", "turn them into numbers outside the model")
_GIVES_SPARSE = ("gives a sparse tensor, which is not exported", "leave sparse=True out")
_IS_RANDOM = (
    "draws random numbers in predict() too, so that no two runs agree and no export can be verified",
    "draw only if `training` is true, or make the noise an input",
)
_HOLD_IT = (
    "make it a weight of the layer (add_weight), or the layer that owns it an attribute of this one (a Lambda has "
    "neither: write a layer)"
)
_WITHOUT_PYTHON = "write it with keras.ops, or compute it outside the model and make the result an input"
_STATE_OUT = "make the state an input and an output"
_FLOAT8 = ("is quantised to float8, which is not exported", "quantise it to int8, or not at all")
_BFLOAT16 = ("computes in bfloat16, for which onnxruntime has no kernels", "give it the dtype policy float32")


@dataclass(frozen=True)
class _Place:
    """A call site and how it is called in messages, submodels that the reader kept whole seen through."""

    site: CallSite
    label: str


def refuse_unexportable(model: keras.Model) -> None:
    """Refuse a model that can't be exported faithfully, by its first call site that stands against it.

    Args:
        model: a functional or sequential model.

    Raises:
        BadInput: one line with the layer, its call site, what is the matter and the way out; also if the model has no
            graph to read.
    """
    graph = read(model)
    places = list(_places(graph))
    for refusal in itertools.chain(_of_layers(places), _of_inputs(graph), _of_effects(places, model)):
        raise BadInput(refusal)


def told_sized_by_numbers(model: keras.Model) -> str | None:
    """The first call site whose result is as large as the numbers fed say, in words; None where none is found.

    Inside a model that is no harm (a sum over the rows that a mask keeps); who refuses an output asks for its origin.
    """
    for place in _places(read(model)):
        kinds = sized_by_numbers(place.site)
        if kinds:
            matter = f"gives a result whose size the numbers fed decide ({', '.join(kinds)})"
            return f"{_called(place.site.layer, place)} {matter}"
    return None


def _places(graph: CallGraph, prefix: str = "") -> Iterator[_Place]:
    for site in graph.sites:
        label = prefix + graph.label(site)
        inner = graph_of(site.layer)
        if inner is None:
            yield _Place(site, label)
        else:
            yield from _places(read(site.layer), f"{label}/")


def _told(layer: Any, place: _Place, reason: tuple[str, str]) -> str:
    matter, way_out = reason
    return f"{_called(layer, place)} {matter}: {way_out}"


def _called(layer: Any, place: _Place) -> str:
    return f"layer '{layer.name}' ({type(layer).__name__}) at call site '{place.label}'"


# --- what a layer says of itself ----------------------------------------------------------------------------------


def _of_layers(places: list[_Place]) -> Iterator[str]:
    for place in places:
        for layer in _inside(place.site):
            reason = _reason(layer)
            if reason is not None:
                yield _told(layer, place, reason)
        if "string" in place.site.input_dtypes:
            yield _told(place.site.layer, place, _TAKES_STRINGS)


def _inside(site: CallSite) -> list[Any]:
    """The layer that is called and those that it holds: of wrappers, cells and subclassed models."""
    return list(site.layer._flatten_layers()) if site.is_layer else []


def _reason(layer: Any) -> tuple[str, str] | None:
    if isinstance(layer, layers.RNN) and layer.stateful:
        return _KEEPS_STATE
    if isinstance(layer, layers.TextVectorization) or getattr(layer, "vocabulary_dtype", None) == "string":
        return _LOOKS_UP_WORDS
    if isinstance(layer, layers.Hashing | layers.HashedCrossing):
        return _HASHES
    if _is_of_keras(type(layer)) and getattr(layer, "sparse", False) is True:
        return _GIVES_SPARSE
    if layer.quantization_mode == "float8":
        return _FLOAT8
    return _BFLOAT16 if layer.compute_dtype == "bfloat16" else None


# --- inputs -------------------------------------------------------------------------------------------------------


def _of_inputs(graph: CallGraph) -> Iterator[str]:
    for index, symbol in enumerate(graph.inputs):
        reason = _input_reason(symbol)
        if reason is not None:
            matter, way_out = reason
            name = symbol._keras_history.operation.name
            yield f"input '{name}'{_read_by(graph, TensorRef(INPUTS, index))} {matter}: {way_out}"


def _input_reason(symbol: Any) -> tuple[str, str] | None:
    if symbol.dtype == "string":
        return "is of strings, which are not exported", "turn them into numbers outside the model"
    if symbol.sparse:
        return "is sparse, which is not exported", "make it a dense one (without sparse=True)"
    if getattr(symbol, "ragged", False):
        return "is ragged, which is not exported", "make it a dense one, padded, with a mask"
    if symbol.dtype == "bfloat16":
        return "is of bfloat16, for which onnxruntime has no kernels", "make it float32"
    return None


def _read_by(graph: CallGraph, ref: TensorRef) -> str:
    for site in graph.sites:
        if ref in tree.flatten((site.args, site.kwargs)):
            return f" (read by layer '{site.layer.name}' at call site '{graph.label(site)}')"
    return ""


# --- what tracing one call shows ----------------------------------------------------------------------------------


def _of_effects(places: list[_Place], model: keras.Model) -> Iterator[str]:
    held = {id(variable.value) for variable in model.variables}
    seen: set[tuple[Any, ...]] = set()
    for place in places:
        site = place.site
        fixed = tree.map_structure(lambda leaf: None if isinstance(leaf, TensorRef) else leaf, (site.args, site.kwargs))
        key = (id(site.layer), site.input_shapes, site.input_dtypes, repr(fixed))
        is_foreign = _runs_foreign_code(site) or _is_given_variables(site)
        if (is_foreign or _is_wide(site)) and key not in seen:
            seen.add(key)
            effects = effects_of(site)
            if is_foreign:
                yield from _of_effect(place, effects)
                yield from _of_variables(place, [each for each in effects.read if id(each) not in held])
            if effects.wide:
                matter = f"computes {', '.join(effects.wide)} in float64, for which onnxruntime has no kernel"
                yield _told(site.layer, place, (matter, "compute it in float32 (dtype='float32')"))


def _of_effect(place: _Place, effects: Effects) -> Iterator[str]:
    if effects.python:
        matter = f"runs Python code ({', '.join(effects.python)}), which no artifact keeps"
        yield _told(place.site.layer, place, (matter, _WITHOUT_PYTHON))
    if effects.draws:
        yield _told(place.site.layer, place, _IS_RANDOM)
    for variable in effects.written:
        owner = _owner(place.site, variable)
        matter = f"changes its variable '{_named(variable)}' whenever it is called, which no artifact keeps"
        yield _told(owner, place, _IS_RANDOM if is_seed(variable) else (matter, _STATE_OUT))
    if effects.strings:
        matter = f"works with strings ({', '.join(effects.strings)}), which are not exported"
        yield _told(place.site.layer, place, (matter, "do it outside the model and make the numbers an input"))


def _of_variables(place: _Place, unheld: list[Any]) -> Iterator[str]:
    """Variables of TensorFlow's that are none of the model's: neither copied nor moved, they would be stored unseen."""
    for variable in unheld:
        matter = f"reads variable '{_named(variable)}', which the model does not hold"
        yield _told(place.site.layer, place, _IS_RANDOM if is_seed(variable) else (matter, _HOLD_IT))


def _named(variable: Any) -> str:
    return str(variable.name.split(":")[0])


def _owner(site: CallSite, variable: Any) -> Any:
    """The innermost layer at a call site that holds the variable."""
    holders = [layer for layer in _inside(site) if any(own.value is variable for own in layer.variables)]
    return holders[-1] if holders else site.layer


def _runs_foreign_code(site: CallSite) -> bool:
    """Whether a call may run code that is not Keras': whose own layers neither draw nor write at inference."""
    return any(_is_foreign(layer) for layer in (_inside(site) or [site.layer]))


def _is_given_variables(site: CallSite) -> bool:
    """Whether a variable is among the arguments (`ops.matmul(x, variable)`), which may be anybody's."""
    return any(isinstance(leaf, keras.Variable | tf.Variable) for leaf in tree.flatten((site.args, site.kwargs)))


def _is_wide(site: CallSite) -> bool:
    """Whether float64 goes in, or is computed in."""
    return "float64" in (*site.input_dtypes, *(layer.compute_dtype for layer in _inside(site)))


def _is_foreign(layer: Any) -> bool:
    if isinstance(layer, layers.Lambda) or not _is_of_keras(type(layer)):
        return True
    return any(callable(value) and not _is_of_keras(value) for value in vars(layer).values())


def _is_of_keras(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    return module.split(".")[0] in ("keras", "tensorflow")
