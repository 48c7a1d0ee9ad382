"""What a call site does at inference beside computing its answer, found by tracing that one call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.framework.auto_control_deps_utils import get_read_write_resource_inputs

from pipeline.graph.attributes import kept_attributes
from pipeline.graph.inference import serving
from pipeline.graph.read import CallSite, TensorRef

_SEED_STATE = "seed_generator_state"  # keras/src/random/seed_generator.py
# Operations that touch strings only to tell a person something.
_TELLING = frozenset({"Assert", "Const", "PrintV2", "StringFormat"})
# The graph holds no more than a key under which this process has the Python function.
_PYTHON = {"EagerPyFunc": "tf.py_function", "PyFunc": "tf.numpy_function", "PyFuncStateless": "tf.numpy_function"}
# What gives as many results as the numbers that it reads say; tf.boolean_mask is made of the first.
_SIZED_BY_NUMBERS = re.compile(r"Where|Unique(WithCounts)?(V2)?|ListDiff|DynamicPartition|NonMaxSuppression.*")
_FIXED_SIZE = 64  # of free axes, where it is asked which sizes are left open
# What becomes an operator that onnxruntime 1.32 has a kernel for in float32, and none in float64.
_NARROW = frozenset(
    {
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cosh", "Sinh", "Tan", "Erf", "Erfc"),
        *("AvgPool", "AvgPool3D", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "ExtractImagePatches"),
        *("Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    }
)


@dataclass(frozen=True)
class Effects:
    """What a call does besides.

    Attributes:
        draws: it draws random numbers other than from a Keras seed, so that two runs differ.
        written: TensorFlow's variables that it changes, the states of Keras' seeds among them.
        read: TensorFlow's variables that it has to do with, changed or not.
        strings: the kinds of operations on strings that it runs.
        python: by what it calls back into the Python process that traced it.
        wide: the kinds of operations that it runs in float64 and that onnxruntime can't.
    """

    draws: bool = False
    written: tuple[Any, ...] = ()
    read: tuple[Any, ...] = ()
    strings: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()


def effects_of(site: CallSite) -> Effects:
    """The effects of one call at inference (`training=False`), whatever the call itself fixes.

    A call that can't be traced by itself has none: what is wrong with it shows when the model is run.
    """
    try:
        first, second = _traced(site), _traced(site)
    except Exception:  # noqa: BLE001 - the layer's own code runs here; see above
        return Effects()
    nodes = _nodes(first)
    return Effects(
        draws=any(_draws(node) for node in nodes) or _constants(first) != _constants(second),
        written=_written(first),
        read=tuple(_captured(first).values()),
        strings=tuple(dict.fromkeys(node.op for node in nodes if _handles_strings(node))),
        python=tuple(dict.fromkeys(_PYTHON[node.op] for node in nodes if node.op in _PYTHON)),
        wide=tuple(dict.fromkeys(node.op for node in nodes if _is_too_wide(node))),
    )


def sized_by_numbers(site: CallSite) -> tuple[str, ...]:
    """The kinds of operations by which the numbers fed decide the size of a call's result; none where sizes do.

    Told by tracing it with every size fixed: what TensorFlow then can't tell the size of follows from no size.
    """
    try:
        concrete = _traced(site, _FIXED_SIZE)
    except Exception:  # noqa: BLE001 - the layer's own code runs here, on sizes that may not suit it
        return ()
    if all(output.shape.is_fully_defined() for output in concrete.outputs):
        return ()
    return tuple(dict.fromkeys(node.op for node in _nodes(concrete) if _SIZED_BY_NUMBERS.fullmatch(node.op)))


def is_seed(variable: Any) -> bool:
    """Whether a variable of TensorFlow's is the state of a Keras seed: who changes it has drawn a random number."""
    return _SEED_STATE in variable.name


def _traced(site: CallSite, size: int | None = None) -> Any:
    """The traced call; its free axes stay so unless a `size` is given."""
    leaves = tree.flatten((site.args, site.kwargs))
    shapes = [[size if axis is None else axis for axis in shape] for shape in site.input_shapes]
    given = iter(zip(shapes, site.input_dtypes, strict=True))
    specs = [tf.TensorSpec(*next(given)) for leaf in leaves if isinstance(leaf, TensorRef)]

    def call(*tensors: Any) -> Any:
        remaining = iter(tensors)
        filled = [next(remaining) if isinstance(leaf, TensorRef) else leaf for leaf in leaves]
        args, kwargs = tree.pack_sequence_as((site.args, site.kwargs), filled)
        with serving(site.layer), kept_attributes([site.layer] if isinstance(site.layer, keras.Layer) else []):
            return site.layer(*args, **_at_inference(site.layer, kwargs))

    return tf.function(call, autograph=False).get_concrete_function(*specs)


def _at_inference(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`predict` and `training=False` override what a call in the graph fixes; layers inside are told too."""
    return {**kwargs, "training": False} if isinstance(layer, keras.Layer) else kwargs


def _nodes(concrete: Any) -> list[Any]:
    """The nodes of a graph and of the functions inside it."""
    graph_def = concrete.graph.as_graph_def()
    return [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]


def _written(concrete: Any) -> tuple[Any, ...]:
    """The variables that the graph changes, functions inside it seen through; no seed that is drawn for nothing."""
    captured = _captured(concrete)
    writes = (tensor for op in concrete.graph.get_operations() for tensor in get_read_write_resource_inputs(op)[1])
    written = {id(tensor): captured[id(tensor)] for tensor in writes if id(tensor) in captured}
    needed = _needed(concrete)
    return tuple(variable for key, variable in written.items() if key in needed or not is_seed(variable))


def _captured(concrete: Any) -> dict[int, Any]:
    """The variables that the graph reads or changes, by the `id` of the tensor that stands for each in it."""
    by_handle = {id(variable.handle): variable for variable in concrete.graph.variables}
    return {id(inner): by_handle[id(outer)] for outer, inner in concrete.graph.captures if id(outer) in by_handle}


def _needed(concrete: Any) -> set[int]:
    """The tensors, by `id`, that the answer is computed from."""
    seen: set[int] = set()
    pending = list(concrete.graph.outputs)
    while pending:
        tensor = pending.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            pending += tensor.op.inputs
    return seen


def _draws(node: Any) -> bool:
    """Whether a node draws from TensorFlow's own generator: what has a seed and still differs from run to run."""
    definition = op_def_registry.get(node.op)
    return definition is not None and definition.is_stateful and any("seed" in attr.name for attr in definition.attr)


def _constants(concrete: Any) -> list[bytes]:
    """Numbers that the Python code put into the graph: drawn by numpy, they are others in the next trace."""
    constants = (node.attr["value"].tensor for node in _nodes(concrete) if node.op == "Const")
    return sorted(constant.SerializeToString() for constant in constants)  # a graph's functions are in no fixed order


def _handles_strings(node: Any) -> bool:
    definition = op_def_registry.get(node.op)
    if definition is None or node.op in _TELLING:
        return False
    return types_pb2.DT_STRING in _types(node, [*definition.input_arg, *definition.output_arg])


def _is_too_wide(node: Any) -> bool:
    return node.op in _NARROW and node.attr["T"].type == types_pb2.DT_DOUBLE


def _types(node: Any, arguments: list[Any]) -> Iterator[int]:
    for argument in arguments:
        yield argument.type or node.attr[argument.type_attr].type
