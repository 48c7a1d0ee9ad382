"""Weights are moved within what they may be: by some per cent, by whole numbers, or flipped."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.weight_map.perturb import moved


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
def test_integers_stay_within_what_the_weight_holds_and_all_of_them_move(dtype: str) -> None:
    """An index into a table stays one; the ends of a dtype's range do not wrap around."""
    limits = np.iinfo(dtype)
    ends = ((limits.min, limits.max), (limits.max - 1, limits.max), (limits.min, limits.min + 1))
    for low, high in ((0, 3), (2, 3), *ends):
        weight = np.array([low, high, low, high, *np.random.default_rng(0).integers(low, high, 50, dtype, True)], dtype)
        found = moved(weight, 7)
        assert found.dtype == weight.dtype
        assert (found != weight).all()
        assert found.min() >= weight.min()
        assert found.max() <= weight.max()
        np.testing.assert_array_equal(found, moved(weight, 7))


def test_integers_move_by_some_per_cent_as_numbers_do() -> None:
    """A kernel in int8 with a scale is off by as much as one in float32."""
    weight = np.arange(-127, 128, dtype=np.int8)
    move = np.abs(moved(weight, 3).astype(int) - weight)
    assert (move >= np.maximum(1, np.floor(0.05 * np.abs(weight)))).all()
    assert (move <= np.maximum(1, np.ceil(0.1 * np.abs(weight)))).all()


@pytest.mark.parametrize(("number", "then"), [(0, 1), (5, 4), (-3, -2)])
def test_integers_that_are_all_alike_move_by_one_towards_nothing(number: int, then: int) -> None:
    """A number of rows, or of a row, stays within what there is; zeros have nowhere else to go."""
    np.testing.assert_array_equal(moved(np.full((2, 2), number, np.int32), 1), np.full((2, 2), then))


def test_complex_numbers_move_by_some_per_cent_of_their_length() -> None:
    """Whatever their angle."""
    weight = np.array([3 + 4j, -1j, 0], np.complex64)
    move = np.abs(moved(weight, 2) - weight) / [5, 1, 1]
    assert move.min() > 0.049
    assert move.max() < 0.101


def test_truth_values_are_flipped_in_places() -> None:
    """Not everywhere: a mask that leaves nothing says nothing. At least one of them is."""
    weight = np.random.default_rng(0).random((40, 40)) < 0.5
    flips = moved(weight, 5) != weight
    assert 0.3 < flips.mean() < 0.7
    for seed in range(20):
        assert moved(np.array([True, False]), seed).tolist() != [True, False]
        assert moved(np.array(True), seed).tolist() is False
