"""A functional model around one that has no graph of its own, or without its absent optional inputs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras
from keras import tree

from pipeline.errors import BadInput, one_line
from pipeline.graph.attributes import kept_attributes
from pipeline.graph.flatten import read_flat, rebuild_flat
from pipeline.graph.forgotten_calls import note
from pipeline.graph.read import INPUTS, CallGraph, TensorRef, built_on, graph_of, node_of

Specs = Mapping[str, keras.InputSpec]

_NOT_INPUTS = frozenset({"self", "training", "mask"})


def as_functional(model: keras.Model, input_signature: Mapping[str, Any] | None = None) -> keras.Model:
    """The model itself where it has a graph; else a functional model whose one call site is the model.

    Args:
        model: any Keras model; one that was never built gets its weights here.
        input_signature: a `keras.InputSpec`, or a shape with the batch axis first (`(None, 28, 28)`; float32), by input
            name. The names are those of the arguments of `call`, the keys of the dict that it takes, or free to choose
            where it takes one tensor or a list. Of a model with a graph it names the inputs that are there: optional
            ones that it leaves out are absent (None) in the result.

    Raises:
        BadInput: if neither the model nor the signature tells its inputs, the model can't be called on them, or a
            signature leaves out an input that is not optional.
    """
    if not isinstance(model, keras.Model):
        raise BadInput(f"a keras.Model is needed, and this is a {type(model).__name__}")
    if graph_of(model) is not None:
        return model if input_signature is None else _without_absent(model, _specs(input_signature))
    own = built_on(model)
    if own is not None and input_signature is None:
        return _around(model, own)
    specs = _specs(input_signature) if input_signature is not None else _known(model)
    if not specs:
        raise BadInput(
            f"model '{model.name}' ({type(model).__name__}) has no graph to read: build it with the functional API, "
            "give a Sequential model an Input, or say what it takes by "
            "ExportOptions(input_signature={'NAME': keras.InputSpec(shape=(None, ...), dtype=...)}) or --input"
        )
    return _wrapped(model, specs, "" if input_signature is not None else "; say what it takes by input_signature")


# --- what a model takes -------------------------------------------------------------------------------------------


def _specs(signature: Mapping[str, Any]) -> dict[str, keras.InputSpec]:
    return {name: _spec(name, given) for name, given in signature.items()}


def _spec(name: str, given: Any) -> keras.InputSpec:
    shape = getattr(given, "shape", given)
    try:
        axes = tuple(None if axis is None else int(axis) for axis in shape)
    except (TypeError, ValueError):
        raise BadInput(f"input_signature of '{name}' is {given!r}: give a keras.InputSpec or a shape") from None
    if not hasattr(given, "shape") and axes and axes[0] is not None:
        axes = (None, *axes)  # `(28, 28)`, as keras.Input takes it; a static batch needs an InputSpec
    return keras.InputSpec(shape=axes, dtype=getattr(given, "dtype", None) or keras.config.floatx())


def _known(model: keras.Model) -> dict[str, keras.InputSpec]:
    """What a model was built or called on, its batch free, as far as Keras remembers: shapes, but no dtypes."""
    shapes = model._build_shapes_dict or {}
    arguments = _arguments(model)
    known = {}
    for key, shape in shapes.items():
        # Keras calls the shape of argument `x` `x_shape`, and that of an only argument `input_shape`.
        name = arguments[0] if len(shapes) == 1 and arguments else key.removesuffix("_shape")
        for path, axes in _shapes(shape):
            named = "/".join(path) if any(not part.isdigit() for part in path) else "_".join((name, *path))
            known[named] = keras.InputSpec(shape=(None, *axes[1:]), dtype=model.input_dtype)
    return known


def _shapes(nested: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]:
    """The shapes in a nest of them, each with its keys."""
    if isinstance(nested, dict):
        for key, inner in nested.items():
            yield from _shapes(inner, (*path, str(key)))
    elif nested is not None and all(isinstance(axis, int | None) for axis in nested):
        yield path, tuple(nested)
    else:
        for index, inner in enumerate(nested or ()):
            yield from _shapes(inner, (*path, str(index)))


def _arguments(model: keras.Model) -> list[str]:
    parameters = inspect.signature(model.call).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [name for name in named if name not in _NOT_INPUTS]


# --- calling it ---------------------------------------------------------------------------------------------------


def _around(model: keras.Model, own: Any) -> keras.Model:
    """A model around one that was built on inputs, and whose class computes more than their graph, on inputs alike."""

    def like(symbol: Any) -> Any:
        operation = symbol._keras_history.operation
        return keras.Input(
            batch_shape=symbol.shape,
            dtype=symbol.dtype,
            sparse=symbol.sparse,
            name=operation.name,
            optional=operation.optional,
        )

    inputs = tree.map_structure(like, own)
    try:
        with kept_attributes([model]):
            outputs = model(inputs)
    except Exception as error:  # the model's own code runs here
        told = f"can't be called on the inputs that it was built on: {one_line(error)}"
        raise BadInput(f"model '{model.name}' ({type(model).__name__}) {told}") from error
    return _noted(keras.Model(inputs, outputs, name=model.name))


def _noted(wrapped: keras.Model) -> keras.Model:
    """The model, its call of the user's one known as ours, to be forgotten (`forgotten_calls`)."""
    note(node_of(wrapped.outputs[0]))
    return wrapped


def _wrapped(model: keras.Model, specs: Specs, advice: str) -> keras.Model:
    inputs = {
        name: keras.Input(batch_shape=spec.shape, dtype=str(spec.dtype), name=name) for name, spec in specs.items()
    }
    first_error: Exception | None = None
    for args, kwargs in _ways_to_call(model, inputs):
        try:
            # Keras warns of what a try left unbuilt.
            with warnings.catch_warnings(action="ignore"), kept_attributes([model]):
                outputs = model(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the model's own code refuses what it is called with as it likes
            first_error = first_error or error
        else:
            return _noted(keras.Model(list(inputs.values()), outputs, name=model.name))
    told = ", ".join(f"{name} {spec.shape} {spec.dtype}" for name, spec in specs.items())
    said = one_line(first_error or Exception())
    raise BadInput(
        f"model '{model.name}' ({type(model).__name__}) can't be called on {told}{advice}: {said}"
    ) from first_error


def _ways_to_call(model: keras.Model, inputs: dict[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """By argument, as the one tensor, as a dict, as a list: the first that holds is how it is called."""
    arguments = _arguments(model)
    tensors = list(inputs.values())
    if set(inputs) <= set(arguments):
        leading = [name for name in arguments[: len(inputs)] if name in inputs]
        is_positional = len(leading) == len(inputs)
        yield ([inputs[name] for name in leading], {}) if is_positional else ([], inputs)
    if len(tensors) == 1:
        yield tensors, {}
    yield [inputs], {}
    yield [tensors], {}


# --- absent inputs ------------------------------------------------------------------------------------------------


def _without_absent(model: keras.Model, specs: Specs) -> keras.Model:
    graph, _ = read_flat(model)
    names = [str(symbol._keras_history.operation.name) for symbol in graph.inputs]
    unknown = [name for name in specs if name not in names]
    if unknown:
        raise BadInput(f"model '{model.name}' has no input '{unknown[0]}': its inputs are {', '.join(names)}")
    for name, symbol in zip(names, graph.inputs, strict=True):
        if name not in specs and not symbol._keras_history.operation.optional:
            raise BadInput(f"input_signature leaves out input '{name}', which is not optional: name it too")
        if name in specs and tuple(specs[name].shape) != tuple(symbol.shape):
            raise BadInput(
                f"input_signature gives input '{name}' shape {specs[name].shape}, and it has {tuple(symbol.shape)}: "
                "a model with a graph keeps its own"
            )
    present = [index for index, name in enumerate(names) if name in specs]
    if len(present) == len(names):
        return model
    try:
        return rebuild_flat(_keeping(graph, present))
    except Exception as error:
        absent = ", ".join(name for name in names if name not in specs)
        raise BadInput(f"model '{model.name}' can't be called without {absent}: {one_line(error)}") from error


def _keeping(graph: CallGraph, present: list[int]) -> CallGraph:
    """The graph with only these inputs, None in place of the others wherever they are read."""
    moved = {TensorRef(INPUTS, old): TensorRef(INPUTS, new) for new, old in enumerate(present)}

    def kept(leaf: Any) -> Any:
        return moved.get(leaf) if isinstance(leaf, TensorRef) and leaf.site == INPUTS else leaf

    sites = tuple(
        replace(site, args=tree.map_structure(kept, site.args), kwargs=tree.map_structure(kept, site.kwargs))
        for site in graph.sites
    )
    return replace(
        graph,
        inputs=tuple(graph.inputs[index] for index in present),
        input_structure=list(moved.values()),
        output_structure=tree.map_structure(kept, graph.output_structure),
        sites=sites,
    )
