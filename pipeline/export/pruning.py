"""Taking assignments that no answer depends on out of a traced function.

Layers that are off at inference still draw a seed and throw it away (`RandomHue`, `MixUp`), which changes a variable.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.eager.wrap_function import VariableHolder, WrappedFunction

_ASSIGNMENTS = frozenset({"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"})


def without_idle_assignments(concrete: Any) -> Any:
    """The function without what its outputs do not need, itself where that still reads a variable that it changes.

    Args:
        concrete: a concrete function; the control inputs of its outputs are removed.
    """
    changed = {
        operation.inputs[0].name
        for operation in concrete.graph.get_operations()
        if operation.type in _ASSIGNMENTS and operation.inputs
    }
    if not changed:
        return concrete
    for output in concrete.graph.outputs:
        output.op._remove_all_control_inputs()
    pruned = WrappedFunction(concrete.graph, VariableHolder()).prune(_arguments(concrete), list(concrete.outputs))
    read = {tensor.name for operation in pruned.graph.get_operations() for tensor in operation.inputs}
    return concrete if read & changed else pruned


def _arguments(concrete: Any) -> list[tf.Tensor]:
    captured = {id(inner) for _, inner in concrete.graph.captures}
    return [tensor for tensor in concrete.inputs if id(tensor) not in captured]
