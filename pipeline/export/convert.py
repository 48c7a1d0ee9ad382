"""The one door to tf2onnx."""

from __future__ import annotations

import contextlib
import copy
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from tf2onnx import graph as tf2onnx_graph
from tf2onnx import optimizer, shape_inference, tf_loader, tfonnx
from tf2onnx.convert import _convert_common
from tf2onnx.optimizer import back_to_back_optimizer, transpose_optimizer
from tf2onnx.optimizer.back_to_back_optimizer import BackToBackOptimizer
from tf2onnx.optimizer.const_fold_optimizer import ConstFoldOptimizer
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer, is_transpose, is_useless_transpose

from pipeline.errors import BadInput, one_line
from pipeline.export.composition import mark_weight
from pipeline.export.inlining import allow_inlining, forget_argument_shapes
from pipeline.export.operations import handlers
from pipeline.export.ordered_sets import sets_in_order
from pipeline.export.passes.site_names import with_call_sites
from pipeline.export.tables import LOOK_UP
from pipeline.export.trace import Trace, placeholder_node

# What would store a new weight, or parts of one in several places.
_NEVER_FOLDED = frozenset({"Add", "Cast", "Concat", "Mul", "Split", "Sub"})
# A loop that is left is one that ONNX's operators can't express, or a cell of the user's own.
_LSTM_REWRITERS = ("rewriter_lstm_tf2", "rewrite_gru_tf2")
# It gives a convolution that has a bias another one behind it, and the bias's call site the convolution: passes do it.
_BIAS_REWRITER = "rewrite_biasadd_with_conv2d"
_FUSION_INTO_WEIGHTS = ("Conv", "BatchNormalization")
# Their operands are broadcast: one may have more axes than the result of a convolution that it meets.
_BROADCASTING = ("Add", "Max", "Min", "Mul", "PRelu", "Sub", "Sum")
# What tf2onnx logs of an operation that it has no handler for, and then of all of them.
_UNHANDLED = re.compile(r"Tensorflow op \[(.+): (\w+)\] is not supported")
_COUNTED = "Unsupported ops: "


class ConversionFailed(BadInput):
    """tf2onnx can't express the model; the message says which operations."""


def convert(trace: Trace, graph_def: Any, values: Mapping[str, np.ndarray], opset: int) -> Any:
    """The ONNX model proto of a traced graph.

    Args:
        trace: the graph as it was traced.
        graph_def: the same, `simplified`.
        values: what to put in place of each weight, by node name; one without stays an input of the result. No
            constant folding sees them, so that nothing is computed from a weight beforehand: what reads a weight reads
            the weight.
        opset: of the result.

    Raises:
        ConversionFailed: where tf2onnx raises, and also where it only logs an error and would write a file that can't
            be loaded.
    """
    left_out = (*_LSTM_REWRITERS, _BIAS_REWRITER)
    rewriters: dict[str, Any] = {"rewrite_constant_fold": _placing(values), **dict.fromkeys(left_out, _leave)}
    in_order = sets_in_order(tf2onnx_graph, back_to_back_optimizer, transpose_optimizer)
    shapes = (_branch_shapes(), _joined_ranks(), _looked_up_shapes())
    patches = (mock.patch.multiple(tfonnx, **rewriters), *shapes, _copied_once(), *in_order)
    with _listening() as errors, contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        try:
            proto, _ = _convert_common(
                graph_def,
                name="shared-layers",
                continue_on_error=True,
                opset=opset,
                custom_op_handlers=handlers(),
                input_names=list(trace.inputs),
                output_names=list(trace.outputs),
                optimizers=_optimizers(),
            )
        except Exception as error:
            raise ConversionFailed(
                f"tf2onnx can't convert the model: {with_call_sites(one_line(error), trace.sites)}"
            ) from error
    if errors:
        told = _told(with_call_sites(error, trace.sites) for error in errors)
        raise ConversionFailed(f"tf2onnx can't convert the model: {told}")
    return proto


def _told(errors: Iterable[str]) -> str:
    """What tf2onnx logged, in one line: operations without a handler once each, with their call sites and a way out."""
    sites: dict[str, list[str]] = {}
    others: list[str] = []
    for error in dict.fromkeys(errors):
        if found := _UNHANDLED.fullmatch(error):
            sites.setdefault(found[2], []).append(found[1])
        elif not error.startswith(_COUNTED):
            others.append(error)
    unhandled = [
        f"{operation} ({', '.join(names)}): neither tf2onnx nor this project has a handler for it: write it with other "
        "operations, or do it outside the model"
        for operation, names in sites.items()
    ]
    return "; ".join([*others, *unhandled])


def _branch_shapes() -> Any:
    """Give the arguments of a branch their shapes: tf2onnx takes those of all inputs, the condition's first."""
    original = tf_loader.tflist_to_onnx

    def listed(graph: Any, *arguments: Any, **options: Any) -> Any:
        result = original(graph, *arguments, **options)
        for operation in graph.get_operations():
            if operation.type in ("If", "StatelessIf"):
                shapes = [tensor.shape for tensor in operation.inputs[1:]]
                for branch in ("then_branch", "else_branch"):
                    result[-1][operation.get_attr(branch).name] = shapes
        return result

    return mock.patch.object(tf_loader, "tflist_to_onnx", listed)


def _joined_ranks() -> Any:
    """The rank of what is joined from parts, some of unknown shape: tf2onnx asks a tensor there for its `type`.

    The two sides of a choice, which are broadcast, it gives one shape, be one a number: here each keeps its own.
    """
    original = shape_inference.infer_output_shapes_with_partial_inputs

    def infer(operation: Any) -> Any:
        if operation.type in ("Select", "SelectV2"):
            return False
        if operation.type not in ("Concat", "ConcatV2"):
            return original(operation)
        rank = next((part.shape.rank for part in operation.inputs if part.shape.rank), None)
        if rank is not None:
            operation.outputs[0].set_shape([None] * rank)
        return rank is not None

    return mock.patch.object(shape_inference, "infer_output_shapes_with_partial_inputs", infer)


def _looked_up_shapes() -> Any:
    """What is looked up in a table has the shape of the keys: without the table TensorFlow knows none."""
    original = shape_inference.infer_shape_for_op

    def infer(operation: Any) -> Any:
        if operation.type != LOOK_UP or operation.outputs[0].shape.rank is not None:
            return original(operation)
        operation.outputs[0].set_shape(operation.inputs[1].shape)
        return operation.outputs[0].shape.rank is not None

    return mock.patch.object(shape_inference, "infer_shape_for_op", infer)


def _copied_once() -> Any:
    """Keep one copy of the graph for the case that a pass fails: tf2onnx makes one before each of its passes."""
    original = optimizer.optimize_graph

    def optimize(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        kept = copy.deepcopy(graph)
        try:
            return original(graph, False, optimizers=optimizers)
        except Exception:  # noqa: BLE001 - a pass that fails is left out then, as tf2onnx would do at once
            return original(kept, True, optimizers=optimizers)

    return mock.patch.object(optimizer, "optimize_graph", optimize)


def simplified(trace: Trace) -> Any:
    """The GraphDef after TensorFlow's constant folding as tf2onnx runs it, each weight an input: none is folded."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(trace.graph_def)
    allow_inlining(graph_def)
    graph_def = tf_loader.fix_freezing_errors_part2(graph_def)
    for node in graph_def.node:
        if node.name in trace.weights and node.op == "Const":
            placeholder_node(node)
    feeds = [*trace.inputs, *(f"{name}:0" for name in trace.weights)]
    with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
        tf.import_graph_def(graph_def, name="")
        feeds = [name for name in feeds if _has(graph, name)]
        return forget_argument_shapes(tf_loader.tf_optimize(feeds, list(trace.outputs), graph_def))


def constants(graph_def: Any) -> list[np.ndarray]:
    """All numbers that a simplified graph holds, its functions' too: constants, and what nodes have as attributes."""
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    held = []
    for node in nodes:
        for attribute in node.attr.values():
            kind = attribute.WhichOneof("value")
            if kind == "tensor":
                held.append(tf.make_ndarray(attribute.tensor))
            elif kind in ("f", "list"):
                held.append(np.array([attribute.f, *attribute.list.f], np.float32))
    return [array for array in held if array.size and (array.dtype.kind in "fiu" or array.dtype.name == "bfloat16")]


def _placing(values: Mapping[str, np.ndarray]) -> Callable[[Any, Any], Any]:
    """A rewriter in place of tf2onnx's `rewrite_constant_fold`, its first, that makes each weight a constant.

    Up to here both TensorFlow and tf2onnx compute whatever has constant inputs; from here on only layouts change. What
    the replaced rewriter would fold, TensorFlow has folded already, but for arithmetic on weights.
    """

    def rewrite(graph: Any, operations: Any) -> Any:
        for node in list(operations):
            if node.type == "Placeholder" and node.name in values:
                (output,) = node.output
                graph.remove_node(node.name)
                mark_weight(graph.make_const(output, values[node.name]))
        return graph.get_nodes()

    return rewrite


def _leave(graph: Any, operations: Any) -> Any:
    """A rewriter that rewrites nothing."""
    return operations


def _has(graph: Any, tensor_name: str) -> bool:
    return tensor_name.split(":")[0] in {operation.name for operation in graph.get_operations()}


class _FoldLayoutOnly(ConstFoldOptimizer):  # type: ignore[misc]
    """Folds transposes and reshapes, never arithmetic, casts or cuts; of integers those too, since none is a weight."""

    @staticmethod
    def _should_skip(node: Any) -> bool:
        if ConstFoldOptimizer._should_skip(node):
            return True
        first = node.inputs[0] if node.type in _NEVER_FOLDED and node.inputs else None
        if first is None or not first.is_const():
            return False
        return bool(first.get_tensor_value(as_list=False).dtype.kind not in "iub")


class _NoFusionIntoWeights(BackToBackOptimizer):  # type: ignore[misc]
    """Leaves a batch normalisation behind a convolution: the kernel it would be folded into may have other readers."""

    def _optimize_at_current_graph_level(self, graph: Any) -> Any:
        table = back_to_back_optimizer._func_map
        fusion = table.pop(_FUSION_INTO_WEIGHTS)
        try:
            return super()._optimize_at_current_graph_level(graph)
        finally:
            table[_FUSION_INTO_WEIGHTS] = fusion


class _TransposesOverEqualRanks(TransposeOptimizer):  # type: ignore[misc]
    """Moves a transpose over an operator whose other operands have no more axes than it has.

    tf2onnx drops the axes that an operand has more. Behind a convolution it takes three numbers, along whatever axis,
    for the bias of three channels, and multiplies a kernel that may have other readers by them. Here they stay an
    operand; biases are a pass of ours.

    It also looks through all nodes from the beginning, after each transpose that it has moved, for the next one, and
    sorts the graph after each reshape that it has folded. Here it goes through the transposes in turns, and sorts once.
    """

    def pre_optimize_action(self) -> None:
        """Fold reshapes of constants."""
        graph = self._g
        with mock.patch.object(graph, "topological_sort"):
            super().pre_optimize_action()
        graph.topological_sort(graph.get_nodes())

    def _optimize_at_current_graph_level(self, graph: Any) -> Any:
        self._g = graph
        self.pre_optimize_action()
        while self._moved_some(graph):
            pass
        self.merge_duplicated_transposes()
        self.post_optimize_action()
        return graph

    def _moved_some(self, graph: Any) -> bool:
        """Go through all transposes once, and move or remove those that can be."""
        has_moved = False
        for node in [node for node in graph.get_nodes() if node.type == "Transpose"]:
            if graph.get_node_by_name(node.name) is not node:
                continue  # gone with another
            if is_transpose(node) and self._handle_nhwc_tranpose(node):
                has_moved = self.graph_been_opt = True
            elif graph.get_node_by_name(node.name) is node and is_useless_transpose(node):
                self._remove_useless_tranpose(node)
                has_moved = True
        return has_moved

    def _initialize_handlers(self) -> None:
        super()._initialize_handlers()
        for op_type in _BROADCASTING:
            self._handler_map[op_type] = self._over_equal_ranks(self._handler_map[op_type])

    def _over_equal_ranks(self, handler: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
        def handle(transpose: Any, node: Any) -> bool:
            rank = len(transpose.get_attr_value("perm"))
            ranks = [self._g.get_rank(name) for name in node.input]
            if any(other is None or other > rank for other in ranks):
                return False
            is_behind_convolution = transpose.inputs[0].type in ("Conv", "ConvTranspose")
            is_folded = is_behind_convolution and any(operand.is_const() for operand in node.inputs)
            return bool((self._handle_node_having_branches if is_folded else handler)(transpose, node))

        return handle


def _optimizers() -> Any:
    passes = OrderedDict(optimizer._get_optimizers())
    passes["optimize_transpose"] = _TransposesOverEqualRanks
    passes["fold_constants"] = _FoldLayoutOnly
    passes["remove_back_to_back"] = _NoFusionIntoWeights
    # Which of two equal nodes it keeps depends on Python's hash seed; ours comes once the graph has its order.
    del passes["merge_duplication"]
    del passes["einsum_optimizer"]  # what is left as an Einsum is one that it would search for long, or for ever
    return passes


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        reason = record.exc_info[1] if record.exc_info else None
        if reason is None or not isinstance(record.args, tuple) or not record.args:
            self.messages.append(record.getMessage().splitlines()[0])
            return
        node = str(record.args[0])  # "Failed to convert node %r (fct=%r)": a handler of ours, or of tf2onnx
        told = one_line(reason) if not isinstance(reason, ValueError) else str(reason)
        self.messages.append(told if node in told else f"{node}: {told}")


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what tf2onnx logs as an error, and keep the rest of its log off the user's terminal."""
    logger = logging.getLogger("tf2onnx")
    errors = _Errors()
    propagated, level = logger.propagate, logger.level
    logger.addHandler(errors)
    logger.propagate = False
    logger.setLevel(logging.ERROR)
    try:
        yield errors.messages
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagated
        logger.setLevel(level)
