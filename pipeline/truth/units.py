"""How large a unit in the last place is at each call site of a model: that of the precision it computes in there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers, tree
from keras.src import ops
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv

from pipeline.graph.call import input_names
from pipeline.graph.read import INPUTS, CallGraph, CallSite, TensorRef

# The distance from 1 to the next number: as far apart lie two sums of another order. In half precision both sum in
# single and round once, to half that distance (with all of it a leaky slope of a hundredth passed for noise).
UNITS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SINGLE = UNITS["float32"]


@dataclass(frozen=True)
class Units:
    """Units of results, by the `id` of the operation that gives them, and those on inputs, by name.

    An operation that is not among them (a layer inside another) has that of the one around it.
    """

    results: Mapping[int, float] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)

    def at(self, operation: Any, around: float) -> float:
        """The unit of an operation's results, `around` being that of the operation that it runs in."""
        return self.results.get(id(operation), around)

    def on_input(self, name: str) -> float:
        """The unit on an input: of those that read it the coarsest. It stands for the order in which they sum."""
        return self.inputs.get(name, self.coarsest)

    @property
    def coarsest(self) -> float:
        """The largest anywhere; that of single precision where nothing is known."""
        return max(self.results.values(), default=SINGLE)


# Layers in which no feature's error (a feature is a place of the last axis) depends on how large another one is: each
# is a sum of its own, or is only moved. A transform over that axis, a softmax or a norm is none of them.
_FEATURES_ALONE = (
    layers.Dense,
    layers.EinsumDense,
    BaseConv,
    BaseConvTranspose,
    BaseDepthwiseConv,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Rescaling,
    layers.Normalization,
    layers.Identity,
    layers.ReLU,
    layers.LeakyReLU,
)
_OPERATIONS_ALONE = (ops.numpy.Concatenate, ops.numpy.Add, ops.numpy.Subtract, ops.numpy.Multiply)
_ACTIVATIONS_ALONE = (None, keras.activations.linear, keras.activations.relu)


def computes_features_alone(operation: Any) -> bool:
    """Whether a unit of each feature of an operation's result is one of that feature's own scale."""
    is_alone = type(operation) in _OPERATIONS_ALONE or isinstance(operation, _FEATURES_ALONE)
    return is_alone and getattr(operation, "activation", None) in _ACTIVATIONS_ALONE


# A model that computes in single precision throughout.
IN_SINGLE = Units()


def units_of(model: Any, graph: CallGraph, same: Mapping[int, Any]) -> Units:
    """The units of a model, for a copy of it.

    Args:
        model: whose precisions count.
        graph: it, read.
        same: the operation of the copy by the `id` of the model's; its own where it has none.
    """
    results: dict[int, float] = {}
    inputs: dict[str, float] = {}
    names = input_names(model)
    for site in graph.sites:
        unit = _unit(site)
        copy = same.get(id(site.layer), site.layer)
        results[id(copy)] = max(unit, results.get(id(copy), 0.0))
        for ref in tree.flatten((site.args, site.kwargs)):
            if isinstance(ref, TensorRef) and ref.site == INPUTS:
                inputs[names[ref.index]] = max(unit, inputs.get(names[ref.index], 0.0))
    return Units(results, inputs)


def _unit(site: CallSite) -> float:
    """Of the coarsest precision in which a layer, those inside it included, or a bare operation computes.

    None, 0, where nothing is rounded.
    """
    if isinstance(site.layer, ops.core.Cast) and not any(dtype in UNITS for dtype in site.input_dtypes):
        return 0.0  # integers and truth values are what they were
    if site.is_layer:
        return _coarsest(layer.compute_dtype for layer in site.layer._flatten_layers())
    return _coarsest([*site.input_dtypes, str(getattr(site.layer, "dtype", None))])


def _coarsest(dtypes: Iterable[str | None]) -> float:
    return max((UNITS[dtype] for dtype in dtypes if dtype in UNITS), default=SINGLE)
