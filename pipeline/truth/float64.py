"""The same model in float64, as the reference that float32 is judged against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from pipeline.errors import one_line
from pipeline.graph.fresh import Config, NotRebuildable, copy_state, fresh_layer
from pipeline.graph.read import CallSite, read
from pipeline.graph.rebuild import rebuild

_FLOATS = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})
# A clone of more weights than these (4 GiB, twice that while they are filled) is not worth a machine's memory.
MOST_ELEMENTS = 2**29
_FLOAT64_POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float64"},
    "registered_name": None,
}


def float64_clone(model: keras.Model) -> keras.Model:
    """A model with the same weights and sharing that computes in float64 (`float64_pair`)."""
    return float64_pair(model)[0]


def float64_pair(model: keras.Model) -> tuple[keras.Model, dict[int, list[Any]]]:
    """A model with the same weights and sharing that computes in float64, and its weights by the `id` of the model's.

    A weight has several where wrappers share the layer that holds it: each wrapper's config makes that layer again.

    Every layer is made again from its config with its dtype policy replaced; layers keep their call sites.

    Raises:
        NotRebuildable: if a layer can't be made again, is quantised, or the clone still computes in another precision;
            if the weights are more than memory should be filled with.
    """
    _refuse_large(model)
    graph = read(model)
    fresh: dict[int, Any] = {}

    def layer_for(site: CallSite) -> Any:
        if not site.is_layer:
            return site.layer
        if id(site.layer) not in fresh:
            fresh[id(site.layer)] = fresh_layer(site.layer, f"{site.layer.name}_{len(fresh)}", _in_float64)
        return fresh[id(site.layer)]

    try:
        clone = rebuild(graph, layer_for, input_dtype=widened_dtype)
    except NotRebuildable:
        raise
    except Exception as error:
        raise NotRebuildable(f"the model can't be built in float64: {one_line(error)}") from error
    for site in graph.sites:
        if site.is_layer:
            copy_state(site.layer, fresh[id(site.layer)])
    _refuse_narrow(clone)
    layers = {id(site.layer): site.layer for site in graph.sites if site.is_layer}
    weights: dict[int, list[Any]] = {}
    for key, layer in layers.items():
        for old, new in zip(layer.variables, fresh[key].variables, strict=True):
            weights.setdefault(id(old), []).append(new)
    return clone, weights


def widened_dtype(dtype: str) -> str:
    """The dtype of an input of the clone, from that of the model's."""
    return "float64" if dtype in _FLOATS else dtype


def widened(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs as the clone takes them: floating-point numbers in float64."""
    return {
        name: value.astype(widened_dtype(value.dtype.name), copy=False)
        for name, value in feed.items()
    }


def _refuse_large(model: keras.Model) -> None:
    elements = sum(math.prod(weight.shape) for weight in model.weights)
    if elements > MOST_ELEMENTS:
        raise NotRebuildable(f"its {elements:,} weights would take {8 * elements / 2**30:.1f} GiB in float64")


def _in_float64(config: Config) -> Config:
    return {key: _replaced(key, value) for key, value in config.items()}


def _replaced(key: str, value: Any) -> Any:
    if key == "dtype" and isinstance(value, str) and value in _FLOATS:
        return "float64"
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy":
        return _FLOAT64_POLICY if value["config"]["name"] in _FLOATS else value
    if isinstance(value, dict) and value.get("class_name") == "QuantizedDTypePolicy":
        raise ValueError("a quantised layer has no float64 form")
    if isinstance(value, dict):
        return _in_float64(value)
    if isinstance(value, list):
        return [_replaced("", item) for item in value]
    return value


def _refuse_narrow(clone: keras.Model) -> None:
    narrow = [tensor for tensor in clone.outputs if tensor.dtype in _FLOATS]
    if narrow:
        layer = narrow[0]._keras_history.operation
        raise NotRebuildable(f"output of '{layer.name}' stays {narrow[0].dtype} in a float64 model: it casts by itself")
