"""Weights in the initializers that hold them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from pipeline import weight_values
from pipeline.records import Block, WeightPlacement


def placement(initializer: str, *blocks: Block) -> WeightPlacement:
    """A place of a weight of two rows of three."""
    return WeightPlacement(weight="w", shape=(2, 3), dtype="float32", initializer=initializer, blocks=blocks)


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
LAYOUTS = {
    "whole": ((2, 3), ()),
    "transposed": ((3, 2), (Block(start=(0, 0), shape=(3, 2), offset=0, strides=(1, 3)),)),
    "swapped_columns_beside_a_zero": (
        (2, 4),
        (
            Block(start=(0, 0), shape=(2, 1), offset=2, strides=(3, 1)),
            Block(start=(0, 2), shape=(2, 2), offset=0, strides=(3, 1)),
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_what_was_written_is_read(name: str) -> None:
    """In every layout that a weight map can say."""
    shape, blocks = LAYOUTS[name]
    array = np.zeros(shape, np.float32)
    weight_values.write(WEIGHT, blocks, array)
    assert np.array_equal(weight_values.read([placement("i", *blocks)], {"i": array}), WEIGHT)


def test_a_weight_in_two_initializers_is_read_from_both() -> None:
    """A converter may have split it."""
    rows = [Block(start=(0, 0), shape=(1, 3), offset=offset, strides=(3, 1)) for offset in (0, 3)]
    places = [placement("a", rows[0]), placement("b", rows[1])]
    found = weight_values.read(places, {"a": WEIGHT[:1].copy(), "b": WEIGHT[1:].copy()})
    assert np.array_equal(found, WEIGHT)


def test_every_element_is_moved_a_little_and_keeps_its_sign() -> None:
    """By five to ten per cent; a zero by as much of 1."""
    weight = np.array([0.0, 1.0, -2.0, 1e-6], np.float32)
    moved = weight_values.perturbed(weight, 3)
    assert moved.dtype == np.float32
    assert (np.sign(moved[1:]) == np.sign(weight[1:])).all()
    relative = np.abs(moved[1:] / weight[1:] - 1)
    assert ((relative > 0.049) & (relative < 0.101)).all()
    assert 0.049 < abs(moved[0]) < 0.101


def test_the_same_seed_moves_alike_and_another_does_not() -> None:
    """Whoever repeats the verdict must make the same change."""
    assert np.array_equal(weight_values.perturbed(WEIGHT, 1), weight_values.perturbed(WEIGHT.copy(), 1))
    assert not np.array_equal(weight_values.perturbed(WEIGHT, 1), weight_values.perturbed(WEIGHT, 2))


def test_a_large_weight_is_moved_and_digested_in_little_memory() -> None:
    """The result, and little beside it."""
    weight = np.ones((2**23,), np.float32)
    tracemalloc.start()
    moved = weight_values.perturbed(weight, 1)
    weight_values.digest_of(moved)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * weight.nbytes
