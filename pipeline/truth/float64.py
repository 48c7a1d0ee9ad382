"""The same model in float64, as the reference that float32 is judged against."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pipeline.budget_rule import MOST_ELEMENTS
from pipeline.errors import one_line
from pipeline.graph.call import NamedCall, named_call
from pipeline.graph.fresh import Config, NotRebuildable, copy_state, fresh_layer
from pipeline.graph.read import CallSite, read
from pipeline.graph.rebuild import rebuild
from pipeline.records import Signature
from pipeline.truth.narrow_operations import narrow_operations
from pipeline.truth.units import Units, units_of
from pipeline.truth.wide_scope import NARROW, computing_in_float64

_POLICIES = NARROW | {"mixed_float16", "mixed_bfloat16"}
# What a layer's name becomes in the clone: no name that Keras may give to another, and told by the names of operations.
_ANEW = "_in_float64_"
_NAMED_ANEW = re.compile(rf"([^/]+?){_ANEW}\d+")
_FLOAT64_POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float64"},
    "registered_name": None,
}


@dataclass(frozen=True)
class Float64Model:
    """A model with the weights and the sharing of another, that computes in float64.

    `weights` are its own by the `id` of the other's: several where wrappers share the layer that holds one, because
    each wrapper's config makes that layer again. `units` are those of the precisions that the other computes in, for
    the operations of this one.
    """

    model: keras.Model
    weights: dict[int, list[Any]]
    units: Units

    def named_call(self, signature: Signature) -> NamedCall:
        """A function from tensors by input name to tensors by output name, in float64 whatever layers ask for."""
        call = named_call(self.model, signature)

        def wide(feed: Mapping[str, Any]) -> dict[str, Any]:
            with computing_in_float64():
                return call(feed)

        return wide

    @property
    def masked_values(self) -> frozenset[float]:
        """The values that `Masking` layers leave out: decided by equality, which noise must not undo."""
        masking = (each for each in self.model._flatten_layers() if isinstance(each, keras.layers.Masking))
        return frozenset(float(each.mask_value) for each in masking)

    def refuse_narrow(self, graph: Any) -> None:
        """Refuse a trace of the model in which some operation works in less than float64.

        Raises:
            NotRebuildable: with the name of the layer that it is in.
        """
        narrow = narrow_operations(graph)
        if narrow:
            inside = _NAMED_ANEW.findall(narrow[0])
            where = f"layer '{inside[-1]}'" if inside else "the model"
            told = f"operation '{narrow[0]}'" + (f" and {len(narrow) - 1} more" if len(narrow) > 1 else "")
            raise NotRebuildable(f"{where} computes in less than float64 whatever it is asked for ({told})")


def float64_clone(model: keras.Model) -> keras.Model:
    """A model with the same weights and sharing that computes in float64 (`float64_model`)."""
    return float64_model(model).model


def float64_model(model: keras.Model) -> Float64Model:
    """A model with the same weights and sharing that computes in float64.

    Every layer is made again from its config with its dtype policy replaced, under a global policy of float64: what a
    layer makes in its `__init__` has no policy in its config. Layers keep their call sites.

    Raises:
        NotRebuildable: if a layer can't be made again or is quantised; if the weights are more than memory should be
            filled with.
    """
    _refuse_large(model)
    graph = read(model)
    fresh: dict[int, Any] = {}

    def layer_for(site: CallSite) -> Any:
        if not site.is_layer:
            return site.layer
        if id(site.layer) not in fresh:
            fresh[id(site.layer)] = fresh_layer(site.layer, f"{site.layer.name}{_ANEW}{len(fresh)}", _in_float64)
        return fresh[id(site.layer)]

    try:
        with computing_in_float64():
            clone = rebuild(graph, layer_for, input_dtype=widened_dtype)
    except NotRebuildable:
        raise
    except Exception as error:
        raise NotRebuildable(f"the model can't be built in float64: {one_line(error)}") from error
    layers = {id(site.layer): site.layer for site in graph.sites if site.is_layer}
    weights: dict[int, list[Any]] = {}
    with computing_in_float64():
        for key, layer in layers.items():
            copy_state(layer, fresh[key])
    for key, layer in layers.items():
        for old, new in zip(layer.variables, fresh[key].variables, strict=True):
            weights.setdefault(id(old), []).append(new)
    return Float64Model(clone, weights, units_of(model, graph, fresh))


def widened_dtype(dtype: str) -> str:
    """The dtype of an input of the clone, from that of the model's."""
    return "float64" if dtype in NARROW else dtype


def widened(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs as the clone takes them: floating-point numbers in float64."""
    return {name: value.astype(widened_dtype(value.dtype.name), copy=False) for name, value in feed.items()}


def _refuse_large(model: keras.Model) -> None:
    elements = sum(math.prod(weight.shape) for weight in model.weights)
    if elements > MOST_ELEMENTS:
        raise NotRebuildable(f"its {elements:,} weights would take {8 * elements / 2**30:.1f} GiB in float64")


def _in_float64(config: Config) -> Config:
    return {key: _replaced(key, value) for key, value in config.items()}


def _replaced(key: str, value: Any) -> Any:
    if key == "dtype" and isinstance(value, str) and value in _POLICIES:
        return "float64"
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        return _FLOAT64_POLICY if value["config"]["name"] in _POLICIES else value
    if isinstance(value, dict) and value.get("class_name") == "QuantizedDTypePolicy":
        raise ValueError("a quantised layer has no float64 form")
    if isinstance(value, dict):
        return _in_float64(value)
    if isinstance(value, list):
        return [_replaced("", item) for item in value]
    return value
