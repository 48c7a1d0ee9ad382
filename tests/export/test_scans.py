"""Operations that run a function along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tests.export.operations.agreement import assert_agrees, kinds, normal
from tests.sampling import sampled


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


@pytest.mark.parametrize("function", sampled([lambda p, q: p + q, lambda p, q: p * q], 2))
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


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_a_choice_between_several_is_one_between_two_and_two(index: int) -> None:
    """Numbers out of range take the last branch in TensorFlow, and in Keras the nearest."""
    branches = [lambda x: x + 1, lambda x: x * 2, lambda x: -x]
    number = np.array([[index]], "int32")
    assert_agrees(lambda x, i: ops.switch(i[0, 0], branches, x), normal(2, 6), number)
    by_number = layers.Lambda(
        lambda pair: tf.switch_case(pair[1][0, 0], {1: lambda: pair[0] + 1, 0: lambda: pair[0] * 3}, lambda: pair[0]),
        (6,),
    )
    assert_agrees(lambda x, i: by_number([x, i]), normal(2, 6), number)


@pytest.mark.parametrize("opset", sampled([16, 18], 2))
def test_two_ctc_losses_in_one_graph(opset: int) -> None:
    """TensorFlow's own loops can't be put into one: their bodies bear one name."""
    target = np.array([[1, 2, 2], [3, 1, 0]], "int32")
    lengths = np.array([3, 2], "int32"), np.array([6, 5], "int32")
    assert_agrees(
        lambda t, x, *n: ops.ctc_loss(t, x, *n) + ops.ctc_loss(t, 2 * x, *n),
        target,
        normal(2, 6, 4),
        *lengths,
        opset=opset,
    )
