"""Operations that run a function along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, kinds, normal


def scanned(x: Any, part: int, **options: Any) -> Any:
    """Sums along time, and what each was multiplied by the next step."""
    steps = ops.transpose(x, (1, 0, 2))
    return ops.scan(lambda carry, step: (carry + step, carry * step), ops.zeros_like(x[:, 0]), steps, **options)[part]


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("part", [0, 1])
def test_a_scan_is_one_loop(part: int, reverse: bool, opset: int) -> None:
    """What is carried in the end, and every round's result, from both ends."""
    proto = assert_agrees(lambda x: scanned(x, part, reverse=reverse), normal(2, 5, 6), opset=opset)
    assert kinds(proto).count("Loop") == 1


def test_a_scan_of_free_length() -> None:
    """The axis is the input's."""
    assert_agrees(lambda x: scanned(x, 1), normal(2, 5, 6), free=True)


def test_a_scan_over_nothing_but_its_length() -> None:
    """The carry alone changes."""
    assert_agrees(lambda x: ops.scan(lambda carry, _: (carry * 2, carry), x, None, length=3)[1], normal(2, 6))


@pytest.mark.parametrize("function", [lambda p, q: p + q, lambda p, q: p * q])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_associative_scan_has_its_rank_and_no_conditions(function: Callable, reverse: bool) -> None:
    """TensorFlow loses the rank, and Keras decides by a condition what is known: which axis, and how long it is."""
    for steps in (5, 8):
        proto = assert_agrees(
            lambda x: layers.Dense(3)(ops.associative_scan(function, x, reverse=reverse, axis=1)), normal(2, steps, 6)
        )
        assert "If" not in kinds(proto)


def test_a_condition_that_is_known_gives_tensors_all_the_same() -> None:
    """Numbers in Python among them; one that is not known stays one."""
    known = layers.Lambda(lambda x: x * tf.cast(tf.cond(tf.constant(True), lambda: 2, lambda: 3), x.dtype))
    assert "If" not in kinds(assert_agrees(known, normal(2, 6)))
    open_one = layers.Lambda(lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x))
    assert "If" in kinds(assert_agrees(open_one, normal(2, 6)))
