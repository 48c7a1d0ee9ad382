"""Handlers for TensorFlow operations that tf2onnx lacks or gets wrong, one file each.

A module here is a handler: its name is of no account, `OPERATION` is the TensorFlow operation it takes (or a tuple of
those that one formula covers), and `convert(ctx, node, name, args)` replaces the node in tf2onnx's graph. It takes
precedence over a handler of tf2onnx. Nothing else has to change to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, Any, str, list[Any]], None]


def handlers() -> dict[str, tuple[Handler, list[Any]]]:
    """Every handler by the operation it takes, as tf2onnx's `custom_op_handlers` wants them."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {operation: (module.convert, []) for module in modules for operation in _operations(module)}


def _operations(module: Any) -> tuple[str, ...]:
    return (module.OPERATION,) if isinstance(module.OPERATION, str) else tuple(module.OPERATION)
