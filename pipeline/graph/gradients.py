"""Gradients that operations bring along: nobody trains what is traced at inference."""

from __future__ import annotations

from typing import Any

_ATTRIBUTE = "_gradient_op_type"  # what `tf.custom_gradient` leaves on the operations that have a gradient of their own


def without_own_gradients(graph: Any) -> None:
    """Let every operation of a TensorFlow graph that is being traced have the gradient of what it is made of.

    A SavedModel holds gradients of its own (a swish has one) as functions that are traced while it is written: half a
    minute for three EfficientNets. Without them its reader would be warned of each function that lacks one.
    """
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and _ATTRIBUTE in operation.node_def.attr:
            operation._clear_attr(_ATTRIBUTE)
