"""Reading a Keras model into a `CallGraph`, submodels seen through.

Keras has no public way to ask a functional graph for its nodes and call arguments. This module is the one place that
touches them, so that a Keras release breaks one file: `Function._nodes_by_depth`, `Operation._inbound_nodes`,
`Node.arguments`, `Sequential._functional` and the mask that a tensor carries.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import keras
from keras import tree

from pipeline.errors import BadInput

# Keras publishes the class only as what `keras.Model(inputs, outputs)` returns.
from keras.src.models.functional import Functional  # isort: skip

KerasTensor: TypeAlias = Any
Nested: TypeAlias = Any

INPUTS = -1


@dataclass(frozen=True)
class TensorRef:
    """A tensor of the graph: output `index` of call site number `site`, or input `index` where `site` is `INPUTS`."""

    site: int
    index: int


@dataclass(frozen=True)
class CallSite:
    """One application of a layer (or of a bare Keras operation).

    `path` names the layer as seen from the top model (`tower/conv2d`), `number` counts the layer's calls from 1.
    `args` and `kwargs` are the call's own, nested as the user wrote them, a `TensorRef` in place of each tensor.
    `turn` orders sites as Keras runs them, outermost model first; the tuple of sites itself is in call order.
    `within` holds the submodels that were seen through, outermost first.
    """

    layer: Any
    path: str
    number: int
    args: tuple[Nested, ...]
    kwargs: dict[str, Nested]
    input_shapes: tuple[tuple[int | None, ...], ...]
    n_outputs: int
    turn: tuple[int, ...]
    within: tuple[Any, ...] = ()
    input_dtypes: tuple[str, ...] = ()

    @property
    def is_layer(self) -> bool:
        """Whether a `keras.Layer` is called here, rather than a stateless operation such as `ops.abs`."""
        return isinstance(self.layer, keras.Layer)

    @property
    def weights(self) -> tuple[Any, ...]:
        """What the layer computes with, none for an operation: its own `weights` is an argument (`ops.bincount`)."""
        return tuple(self.layer.weights) if self.is_layer else ()


@dataclass(frozen=True)
class CallGraph:
    """A functional model as a frozen list of call sites; `inputs` are the model's own symbolic inputs, flat.

    `input_structure` and `output_structure` are nested as in the model, with a `TensorRef` for each tensor.
    """

    name: str
    inputs: tuple[KerasTensor, ...]
    input_structure: Nested
    output_structure: Nested
    sites: tuple[CallSite, ...]

    @functools.cached_property
    def sites_of(self) -> dict[int, tuple[CallSite, ...]]:
        """The call sites of each layer or operation, keyed by its `id`, in call order."""
        found: dict[int, list[CallSite]] = {}
        for site in self.sites:
            found.setdefault(id(site.layer), []).append(site)
        return {key: tuple(sites) for key, sites in found.items()}

    def label(self, site: CallSite) -> str:
        """A name for one call site: the layer's path, with `/call_2` where the layer is shared."""
        is_shared = len(self.sites_of[id(site.layer)]) > 1
        return f"{site.path}/call_{site.number}" if is_shared else site.path


def read(model: keras.Model, keep: frozenset[int] = frozenset()) -> CallGraph:
    """The call graph of a functional or sequential model.

    Args:
        model: a model with a graph of its own.
        keep: ids of submodels that stay one call site each.

    Raises:
        BadInput: if the model has no readable graph (a subclassed model, or a Sequential that was never built).
    """
    graph = required_graph(model)
    reader = _Reader(keep)
    inputs: dict[int, TensorRef | None] = {
        id(tensor): TensorRef(INPUTS, index) for index, tensor in enumerate(graph.inputs)
    }
    reader.specs.update({TensorRef(INPUTS, index): tensor for index, tensor in enumerate(graph.inputs)})
    tensors = reader.visit(graph, inputs, _Place())
    return CallGraph(
        name=model.name,
        inputs=tuple(graph.inputs),
        input_structure=tree.map_structure(lambda tensor: inputs[id(tensor)], graph._inputs_struct),
        output_structure=tree.map_structure(lambda tensor: tensors[id(tensor)], graph._outputs_struct),
        sites=reader.numbered(),
    )


def graph_of(layer: Any) -> Any | None:
    """The functional graph that calling `layer` runs, or None for a plain layer or a subclassed model."""
    if isinstance(layer, keras.Sequential):
        return layer._functional if type(layer).call is keras.Sequential.call else None
    if isinstance(layer, Functional) and type(layer).call is Functional.call:
        return layer
    return None


def built_on(model: Any) -> Nested | None:
    """The symbolic inputs, nested as it takes them, of a model that was built on some; whatever its `call` does."""
    built = model._functional if isinstance(model, keras.Sequential) else model
    return built._inputs_struct if isinstance(built, Functional) else None


def required_graph(model: keras.Model) -> Any:
    """The functional graph of a model.

    Raises:
        BadInput: if it has none: a subclassed model, or a Sequential that was never built.
    """
    if not isinstance(model, keras.Model):
        raise BadInput(f"a keras.Model is needed, and this is a {type(model).__name__}")
    graph = graph_of(model)
    if graph is None:
        raise BadInput(
            f"model '{model.name}' ({type(model).__name__}) has no graph to read: "
            "build it with the functional API, or give a Sequential model an Input"
        )
    return graph


@dataclass(frozen=True)
class _Place:
    """Where in the nesting of submodels the reader stands."""

    prefix: str = ""
    turn: tuple[int, ...] = ()
    within: tuple[Any, ...] = ()
    # A `training=` fixed at an outer call overrides the ones inside (keras/src/models/functional.py, operation_fn).
    training: bool | None = None


@dataclass
class _Reader:
    """Collects call sites; lives as long as one reading."""

    keep: frozenset[int]
    sites: list[CallSite] = field(default_factory=list)
    specs: dict[TensorRef, KerasTensor] = field(default_factory=dict)

    def visit(self, graph: Any, inputs: dict[int, TensorRef | None], place: _Place) -> dict[int, TensorRef | None]:
        """Append every call site of `graph`; returns the ref of each of its symbolic tensors, by `id`."""
        tensors = dict(inputs)
        turns = {id(node): turn for turn, node in enumerate(_in_execution_order(graph))}
        for node in _in_call_order(graph):
            args, kwargs = node.arguments.convert(
                lambda leaf: tensors[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf
            )
            spot = _Place(place.prefix, (*place.turn, turns[id(node)]), place.within, place.training)
            outputs = self._through(node, args, kwargs, spot) or self._append(node.operation, args, kwargs, node, spot)
            tensors.update({id(tensor): ref for tensor, ref in zip(node.outputs, outputs, strict=True)})
        return tensors

    def numbered(self) -> tuple[CallSite, ...]:
        """The sites collected, each with its number among the calls of its layer."""
        calls: dict[int, int] = {}
        numbered = []
        for site in self.sites:
            calls[id(site.layer)] = calls.get(id(site.layer), 0) + 1
            numbered.append(replace(site, number=calls[id(site.layer)]))
        return tuple(numbered)

    def _append(
        self, operation: Any, args: Any, kwargs: dict[str, Any], node: Any, place: _Place
    ) -> list[TensorRef | None]:
        if place.training is not None and isinstance(operation, keras.Layer):
            kwargs = {**kwargs, "training": place.training}
        refs = [leaf for leaf in tree.flatten((args, kwargs)) if isinstance(leaf, TensorRef)]
        index = len(self.sites)
        self.sites.append(
            CallSite(
                layer=operation,
                path=place.prefix + operation.name,
                number=0,
                args=tuple(args),
                kwargs=dict(kwargs),
                input_shapes=tuple(tuple(self.specs[ref].shape) for ref in refs),
                n_outputs=len(node.outputs),
                turn=place.turn,
                within=place.within,
                input_dtypes=tuple(str(self.specs[ref].dtype) for ref in refs),
            )
        )
        outputs = [TensorRef(index, number) for number in range(len(node.outputs))]
        self.specs.update(zip(outputs, node.outputs, strict=True))
        return list(outputs)

    def _through(self, node: Any, args: Any, kwargs: dict[str, Any], place: _Place) -> list[TensorRef | None] | None:
        """The outputs of a submodel's call after seeing through it, or None if it has to stay one call site."""
        submodel = node.operation
        graph = graph_of(submodel)
        call = _plain_call(submodel, args, kwargs) if graph is not None and id(submodel) not in self.keep else None
        if graph is None or call is None:
            return None
        given = _matched(graph, call.inputs)
        if given is None or not self._can_adapt(graph, given):
            return None
        training = place.training if place.training is not None else call.training
        inner = _Place(f"{place.prefix}{submodel.name}/", place.turn, (*place.within, submodel), training)
        inputs = {
            id(symbol): self._adapted(ref, symbol, inner) for symbol, ref in zip(graph.inputs, given, strict=True)
        }
        tensors = self.visit(graph, inputs, inner)
        return [tensors[id(tensor)] for tensor in graph.outputs]

    def _can_adapt(self, graph: Any, given: list[TensorRef | None]) -> bool:
        """Whether the tensors given can be made what the submodel wants without losing the mask they carry."""
        for symbol, ref in zip(graph.inputs, given, strict=True):
            if ref is None:
                continue
            spec = self.specs[ref]
            if spec.sparse != symbol.sparse or len(spec.shape) != len(symbol.shape):
                return False
            if spec.dtype != symbol.dtype and (spec.sparse or getattr(spec, "_keras_mask", None) is not None):
                return False
        return True

    def _adapted(self, ref: TensorRef | None, symbol: KerasTensor, place: _Place) -> TensorRef | None:
        """`ref` cast to the dtype of a submodel's input, as Keras does at its entry (`_convert_inputs_to_tensors`)."""
        if ref is None or self.specs[ref].dtype == symbol.dtype:
            return ref
        spec = self.specs[ref]
        cast = keras.ops.cast(keras.KerasTensor(spec.shape, dtype=spec.dtype), symbol.dtype)._keras_history.operation
        cast.name = "cast"  # Keras counts up over the life of the process
        entry = _Place(place.prefix, (*place.turn, -1), place.within)
        return self._append(cast, (ref,), {}, cast._inbound_nodes[0], entry)[0]


@dataclass(frozen=True)
class _SubmodelCall:
    inputs: Nested
    training: bool | None


def _plain_call(submodel: Any, args: Any, kwargs: dict[str, Any]) -> _SubmodelCall | None:
    """A submodel's call taken apart, or None where it has more than inputs and a fixed `training` (a mask by hand)."""
    bound = inspect.signature(type(submodel).call).bind(submodel, *args, **kwargs).arguments
    extra = set(bound) - {"self", "inputs", "training", "mask"}
    # Keras notes a mask of each input by itself (keras/src/layers/layer.py, "Populate mask"): `[None, None]` is none.
    masks = [mask for mask in tree.flatten(bound.get("mask")) if mask is not None]
    if extra or masks or not isinstance(bound.get("training"), bool | None):
        return None
    return _SubmodelCall(bound["inputs"], bound.get("training"))


def _matched(graph: Any, given: Nested) -> list[TensorRef | None] | None:
    """The refs given to a submodel, in the order of its inputs (a dict given for a list is matched by name)."""
    structure = graph._inputs_struct
    if isinstance(given, dict) and not isinstance(structure, dict):
        names = [symbol.name for symbol in graph.inputs]
        if not set(names) <= set(given):
            return None
        return [given[name] for name in names]
    refs = tree.flatten(given)
    return refs if len(refs) == len(graph.inputs) else None


def _in_execution_order(graph: Any) -> list[Any]:
    """The nodes as `Function._run_through_graph` runs them."""
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def _in_call_order(graph: Any) -> list[Any]:
    """The nodes so that each comes after those it needs, and the calls of one layer in the order they were made.

    Both hold for the order in which the user made the calls, which Keras does not record across layers; of the orders
    that keep them this takes the one a reader going back from the outputs would write down.
    """
    members = {id(node) for node in _in_execution_order(graph)}
    earlier = _earlier_calls(graph, members)

    def needs(node: Any) -> list[Any]:
        parents = [parent for parent in node.parent_nodes if id(parent) in members]
        return [*earlier.get(id(node), []), *parents]

    roots = [node_of(tensor) for tensor in graph.outputs]
    return _postorder([node for node in roots if id(node) in members], needs)


def node_of(tensor: KerasTensor) -> Any:
    """The Keras node that made a symbolic tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _earlier_calls(graph: Any, members: set[int]) -> dict[int, list[Any]]:
    """For each node the layer's call just before it in this graph, if there is one."""
    earlier: dict[int, list[Any]] = {}
    for operation in graph.operations:
        calls = [node for node in operation._inbound_nodes if id(node) in members]
        earlier.update({id(later): [before] for before, later in itertools.pairwise(calls)})
    return earlier


def _postorder(roots: list[Any], needs: Callable[[Any], list[Any]]) -> list[Any]:
    """Depth first without recursion: a chain of thousands of calls is an ordinary model."""
    done: list[Any] = []
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, is_ready = stack.pop()
        if is_ready:
            done.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((need, False) for need in reversed(needs(node)))
    return done
