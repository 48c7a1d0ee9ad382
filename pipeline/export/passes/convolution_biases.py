"""Biases of convolutions, where the convolution takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pipeline.export.passes.constants import add_constant, constant, integers, producer
from pipeline.export.passes.readers import is_read_once
from pipeline.export.passes.site_names import site_number

_CHANNELS = 1  # of what a convolution gives: (batch, channel, ...)


class ConvolutionBiasesPass(ir.passes.InPlacePass):
    """Makes a constant that is added to each channel of a convolution its bias, laid out as a vector.

    Keras convolves one axis as two, for TensorFlow's sake, so a `Squeeze` may lie between. Only constants whose every
    reader is such a sum: none may end up stored in two layouts.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewire in place."""
        changed = [value for value in list(model.graph.initializers.values()) if _moved(model.graph, value)]
        return ir.passes.PassResult(model, modified=bool(changed))


@dataclass(frozen=True)
class _Sum:
    """`add` adds something to the result of `convolution`, of rank `rank`; `summand` is that result."""

    add: ir.Node
    convolution: ir.Node
    summand: ir.Value
    rank: int

    def takes(self, array: np.ndarray) -> bool:
        """Whether an array says one number for each channel, and nothing along other axes."""
        axis = _CHANNELS - (self.rank - array.ndim)
        along = array.ndim <= self.rank and 0 <= axis < array.ndim and array.shape[axis] == array.size
        return along and array.size == _channels(self.convolution)


def _moved(graph: ir.Graph, value: ir.Value) -> bool:
    if value.const_value is None or value.is_graph_input() or value.is_graph_output() or not value.uses():
        return False
    array = np.asarray(value.const_value.numpy())
    sums = [_sum(use.node, value) for use in value.uses()]
    found = [each for each in sums if each is not None and each.takes(array)]
    if len(found) < len(sums):
        return False
    vector = add_constant(graph, f"{value.name}/vector", array.reshape(-1))
    for each in found:
        each.convolution.resize_inputs(3)
        each.convolution.replace_input_with(2, vector)
        ir.convenience.replace_all_uses_with(each.add.outputs[0], each.summand)
        assert each.add.graph is not None
        each.add.graph.remove(each.add, safe=True)
    del graph.initializers[str(value.name)]
    return True


def _sum(add: ir.Node, value: ir.Value) -> _Sum | None:
    """The sum of `value` and a convolution without a bias, whose result nothing else reads."""
    if add.op_type != "Add" or add.outputs[0].is_graph_output():
        return None
    index = 1 if add.inputs[0] is value else 0
    before, squeezed = producer(add, index), 0
    if before is not None and before.op_type == "Squeeze" and is_read_once(before.outputs[0]):
        axes = integers(before, 1, "axes")
        if axes is None or any(axis <= _CHANNELS for axis in axes):
            return None
        before, squeezed = producer(before), len(axes)
    if before is None or before.op_type not in ("Conv", "ConvTranspose") or not is_read_once(before.outputs[0]):
        return None
    if site_number(before) != site_number(add):  # two call sites, each to be found by its name
        return None
    kernel, summand = constant(before, 1), add.inputs[index]
    if kernel is None or summand is None or (len(before.inputs) > 2 and before.inputs[2] is not None):
        return None
    return _Sum(add, before, summand, kernel.ndim - squeezed)


def _channels(convolution: ir.Node) -> int | None:
    kernel = constant(convolution, 1)
    assert kernel is not None
    groups = convolution.attributes["group"].as_int() if "group" in convolution.attributes else 1
    return int(kernel.shape[0] if convolution.op_type == "Conv" else kernel.shape[1] * groups)
