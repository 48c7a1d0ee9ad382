"""A subset, extremes and sums of blocks stand for an answer of any size."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import subsets
from pipeline.subsets import Reduced, differing_blocks, from_arrays, reduced

BUDGET = 1e-5


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    """Class scores of an image: (1, 256, 256, 21)."""
    return np.random.default_rng(0).normal(size=(1, 256, 256, 21))


@pytest.fixture(scope="module")
def frozen(whole: np.ndarray) -> Reduced:
    """What is kept of it."""
    return reduced(whole, seed=1)


def allowed(places: np.ndarray) -> np.ndarray:
    """The same for each element."""
    return np.full(places.shape, BUDGET)


def test_what_is_kept_is_small_and_read_again(whole: np.ndarray, frozen: Reduced) -> None:
    """A hundredth of the answer."""
    arrays = frozen.arrays()
    assert sum(array.nbytes for array in arrays.values()) < whole.nbytes / 50
    again = from_arrays(1, arrays)
    assert again.shape == whole.shape
    assert np.array_equal(again.places, frozen.places)
    assert np.array_equal(again.of(whole), frozen.values)
    assert again.scale == np.abs(whole).max()


def test_the_places_are_different_ones_all_over(frozen: Reduced) -> None:
    """And other ones with another seed."""
    places = frozen.places[:-2]
    assert len(set(places.tolist())) == subsets.LEVELS[0].elements
    assert np.histogram(places, bins=64, range=(0, frozen.size))[0].min() > 200
    assert not np.array_equal(places, subsets._seeded_places(2, frozen.size, len(places)))


@pytest.mark.parametrize("level", subsets.LEVELS)
def test_less_may_be_kept_and_is_judged_alike(whole: np.ndarray, level: subsets.Level) -> None:
    """A model of many large answers leaves little room for each."""
    frozen = reduced(whole, 1, level=level)
    arrays = frozen.arrays()
    assert sum(array.nbytes for array in arrays.values()) == level.kept_bytes(whole.shape, whole.itemsize)
    again = from_arrays(1, arrays)
    assert np.array_equal(again.of(whole), frozen.values)
    assert len(again.places) == level.elements + 2
    signs = subsets._signs(1, whole.size).reshape(whole.shape)
    assert differing_blocks(again, whole + 0.999 * BUDGET * signs, allowed) == []
    spoilt = whole.copy()
    spoilt[0, 200, :, 3] += 1.0
    assert differing_blocks(again, spoilt, allowed)


def test_parts_of_unlike_levels_do_not_fit(whole: np.ndarray) -> None:
    """An archive that drops most sums alone is refused."""
    few, many = (reduced(whole, 1, level=subsets.LEVELS[number]).arrays() for number in (1, 0))
    with pytest.raises(ValueError, match="its parts"):
        from_arrays(1, {**many, "sums": few["sums"]})


def test_a_small_answer_is_kept_whole() -> None:
    """All of its elements are in the subset."""
    small = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(reduced(small, 0).values[:-2], small.reshape(-1))


def test_errors_within_the_budget_never_leave_a_block(whole: np.ndarray, frozen: Reduced) -> None:
    """Not even those that all point the way of their signs."""
    signs = subsets._signs(1, whole.size).reshape(whole.shape)
    assert differing_blocks(frozen, whole + 0.999 * BUDGET * signs, allowed) == []
    rng = np.random.default_rng(1)
    assert differing_blocks(frozen, whole + rng.uniform(-BUDGET, BUDGET, whole.shape), allowed) == []


def test_a_patch_that_is_five_per_cent_off_is_found(whole: np.ndarray, frozen: Reduced) -> None:
    """Eight by eight of 256 by 256, wherever it lies, by the sums alone."""
    for row, column in ((0, 0), (100, 131), (248, 248)):
        spoilt = whole.copy()
        spoilt[:, row : row + 8, column : column + 8] *= 1.05
        assert differing_blocks(frozen, spoilt, allowed)


def test_elements_that_change_places_are_found(whole: np.ndarray, frozen: Reduced) -> None:
    """Within a block the plain sum of each feature stays."""
    spoilt = whole.copy()
    spoilt[0, 100, [100, 101]] = spoilt[0, 100, [101, 100]]
    assert differing_blocks(frozen, spoilt, allowed)


def test_blocks_with_what_is_not_judged_are_passed_over(whole: np.ndarray, frozen: Reduced) -> None:
    """The others count."""
    spoilt = whole.copy()
    spoilt[0, 5, 5, 5] += 1.0
    open_ = np.zeros(whole.shape, bool)
    open_[0, 5, 5, 4] = True
    assert differing_blocks(frozen, spoilt, allowed)
    assert differing_blocks(frozen, spoilt, allowed, open_) == []
    spoilt[0, 200, 5, 5] += 1.0
    assert differing_blocks(frozen, spoilt, allowed, open_)


def test_numbers_that_are_not_finite_are_counted_and_their_blocks_passed_over(whole: np.ndarray) -> None:
    """A block without a sum says nothing; a NaN where the reference has a sum does."""
    odd = whole.copy()
    odd[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    frozen = reduced(odd, 1)
    assert frozen.counts.tolist() == [1, 1, 1]
    assert np.isnan(frozen.sums).sum() == 1
    assert np.isfinite(frozen.scale)
    assert differing_blocks(frozen, odd, allowed) == []
    spoilt = odd.copy()
    spoilt[0, 128, 0, 0] = np.nan
    assert differing_blocks(frozen, spoilt, allowed)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_integers_must_have_equal_sums(dtype: str) -> None:
    """Large ones wrap around; one that is off by one is found."""
    rng = np.random.default_rng(0)
    high = 2 if dtype == "bool" else 2**63 - 1 if dtype == "int64" else 200
    whole = rng.integers(0, high, (4, 128, 128), dtype="int64").astype(dtype)
    frozen = reduced(whole, 3)
    assert differing_blocks(frozen, whole, allowed) == []
    spoilt = whole.copy()
    spoilt[2, 7, 9] = not spoilt[2, 7, 9] if dtype == "bool" else spoilt[2, 7, 9] - 1
    assert differing_blocks(frozen, spoilt, allowed)


@pytest.mark.parametrize(
    "change",
    [
        {"values": np.zeros(3)},
        {"sums": np.zeros(5)},
        {"extremes": np.array([0, 2**50])},
        {"extremes": np.zeros(2)},
        {"shape": np.array([0, 4])},
        {"shape": np.array([2**30, 2**30])},
        {"scales": np.zeros((1, 21))},
    ],
)
def test_parts_that_do_not_fit_are_refused(frozen: Reduced, change: dict[str, np.ndarray]) -> None:
    """An archive may say anything."""
    with pytest.raises(ValueError, match="its "):
        from_arrays(1, {**frozen.arrays(), **change})
