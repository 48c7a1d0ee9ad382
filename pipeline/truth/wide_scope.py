"""Keras computing in float64 for a while, in this thread.

A layer that another layer makes in its `__init__` or `build` has the global policy, and code that names a precision
(`ops.cast(x, "float32")` before a sum, `add_weight(dtype="float32")`) names the one that its author wanted at least.
Inside this scope both get float64.

Keras keeps the policy by thread. `floatx`, and the functions through which every precision that is asked for by its
name passes, are the process's: they are replaced in this thread alone (`graph.patching`).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.backend import config
from keras.src.backend.common import variables

from pipeline.graph.patching import replaced
from pipeline.truth.wide_convolution import convolving_in_groups
from pipeline.truth.wide_resize import resizing_in_float64

NARROW = frozenset({"float16", "bfloat16", "float32"})


@contextlib.contextmanager
def computing_in_float64() -> Iterator[None]:
    """While it lasts, layers made in this thread compute in float64, and so does what asks for less by its name.

    The dtype *objects* of tensors and arrays are told as they are: they say what is there, not what is wanted.
    """
    standardize = variables.standardize_dtype

    def widened(dtype: Any) -> Any:
        return _wide(standardize(dtype)) if isinstance(dtype, str) or dtype in (None, float) else standardize(dtype)

    before = keras.config.dtype_policy()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_everywhere("floatx", config.floatx, lambda: "float64"))
        stack.enter_context(_everywhere("standardize_dtype", standardize, widened))
        for name, function in vars(backend.numpy).items():
            if inspect.isfunction(function) and "dtype" in inspect.signature(function).parameters:
                stack.enter_context(replaced(backend.numpy, name, _asked_in_float64(function)))
        stack.enter_context(replaced(backend.numpy, "signbit", _signbit))
        stack.enter_context(resizing_in_float64())
        stack.enter_context(convolving_in_groups())
        keras.config.set_dtype_policy("float64")
        stack.callback(keras.config.set_dtype_policy, before)
        yield


def _wide(dtype: Any) -> Any:
    return "float64" if isinstance(dtype, str) and dtype in NARROW else dtype


def _asked_in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Keras' backend that is told float64 where its `dtype` is the name of less."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        if "dtype" in given.arguments:
            given.arguments["dtype"] = _wide(given.arguments["dtype"])
        return function(*given.args, **given.kwargs)

    return asked


def _signbit(x: Any) -> Any:
    """Keras' own reads the bits of float32."""
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:
        return x < 0 if x.dtype.is_integer else tf.zeros_like(x)
    return tf.bitcast(tf.cast(x, tf.float64), tf.int64) < 0


@contextlib.contextmanager
def _everywhere(name: str, original: Callable[..., Any], replacement: Callable[..., Any]) -> Iterator[None]:
    """Replace a function of Keras in every module of Keras that has imported it by its name."""
    modules = [module for key, module in list(sys.modules.items()) if key.split(".")[0] == "keras"]
    with contextlib.ExitStack() as stack:
        for module in modules:
            if vars(module).get(name) is original:
                stack.enter_context(replaced(module, name, replacement))
        yield
