"""The numbers of TensorFlow's variables and tensors, not copied on their way: a table may be a third of the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes: TensorFlow ends the process where memory that it shares begins elsewhere
_SHARED = frozenset({tf.float16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8})


def numbers_of(tensor: Any) -> np.ndarray:
    """What a variable or tensor of the CPU holds, not to be written to.

    The numbers stay: TensorFlow gives a variable other memory when it is assigned to while somebody looks at this.
    """
    value = tf.convert_to_tensor(tensor)
    if value.dtype in _SHARED and value.shape.num_elements() and "CPU" in value.device:
        return np.from_dlpack(value)
    return np.asarray(value.numpy())


def assign(variable: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Give a variable other numbers, made of its own."""
    variable.assign(_tensor_of(change(numbers_of(variable))))


def _tensor_of(numbers: np.ndarray) -> Any:
    """A tensor of the same memory where TensorFlow can take that as its own; nobody else may write to it any more.

    It makes two copies else, one after the other.
    """
    is_shareable = tf.as_dtype(numbers.dtype) in _SHARED and numbers.size and numbers.flags.writeable
    if is_shareable and numbers.ctypes.data % _ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(numbers.__dlpack__())
    return tf.convert_to_tensor(numbers)
