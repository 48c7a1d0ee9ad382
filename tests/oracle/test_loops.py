"""Whether something in a model runs more than once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from keras import ops

from pipeline.oracle.work import has_loops


def loop(x: Any) -> Any:
    """As often as there are numbers."""
    return ops.fori_loop(0, 3, lambda _, y: y + 1.0, x)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: x * 2, False),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x), False),
        (loop, True),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: loop(x), lambda: x), True),
        (tf.function(loop), True),
    ],
    ids=["straight", "branches", "loop", "loop in a branch", "loop in a function"],
)
def test_a_loop_is_found_wherever_it_is(function: Callable[[Any], Any], found: bool) -> None:
    """In a branch and in a function that is called, too."""
    traced = tf.function(function).get_concrete_function(tf.TensorSpec([None, 3]))
    assert has_loops(traced) == found
