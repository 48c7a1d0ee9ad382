"""What TensorFlow writes on functions that keeps them, or the shapes in them, from being seen through.

Keras compiles a grouped convolution with XLA. TensorFlow inlines the calls in a graph before it is converted, but for
those marked for XLA or not to be inlined.
"""

from __future__ import annotations

from typing import Any

_MARKS = ("_XlaMustCompile", "_noinline", "_disable_call_shape_inference")


def allow_inlining(graph_def: Any) -> None:
    """Take the marks off every call and every function of a GraphDef, in place."""
    for function in graph_def.library.function:
        _unmark(function)
        for node in function.node_def:
            _unmark(node)
    for node in graph_def.node:
        _unmark(node)


def _unmark(marked: Any) -> None:
    for mark in _MARKS:
        if mark in marked.attr:
            del marked.attr[mark]


def forget_argument_shapes(graph_def: Any) -> Any:
    """The GraphDef with no shapes at the functions' arguments: unknown ones there hide those that the caller knows.

    Those of a loop's condition and body stay: what goes round may change its shape, and only they say so.
    """
    looping = _loop_functions(graph_def)
    for function in graph_def.library.function:
        if function.signature.name not in looping:
            for argument in function.arg_attr.values():
                argument.attr.pop("_output_shapes", None)
    return graph_def


def _loop_functions(graph_def: Any) -> set[str]:
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    loops = [node for node in nodes if node.op in ("While", "StatelessWhile")]
    return {node.attr[part].func.name for node in loops for part in ("cond", "body")}
