"""Letting TensorFlow inline the functions that Keras compiles with XLA, as it does around a grouped convolution.

TensorFlow inlines the calls in a graph before it is converted, but for those marked for XLA or not to be inlined.
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
