"""Errors in full: no zero, infinity or size makes a statistic useless."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.verify.error_figures import error_figures

EPS = float(np.finfo(np.float32).eps)


def figures(answer: list[float], reference: list[float]) -> dict:
    """The figures as plain numbers."""
    return error_figures(np.array(answer, np.float32), np.array(reference)).model_dump()


def test_every_measure_of_known_errors() -> None:
    """One unit in the last place at 1 and at 2; a thousandth of 1000."""
    found = figures([1 + EPS, 2 + 2 * EPS, 1001.0, 5.0], [1.0, 2.0, 1000.0, 5.0])
    assert found["absolute"]["largest"] == 1.0
    assert found["relative"] == pytest.approx({"largest": 1e-3, "median": EPS, "percentile_99": 1e-3})
    assert found["ulps"]["median"] == 1.0
    assert found["ulps"]["largest"] == pytest.approx(1 / np.spacing(np.float32(1000)))
    assert found["elements"] == 4


def test_zeros_on_both_sides_are_no_error() -> None:
    """And none of the figures is NaN."""
    found = figures([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    assert found["relative"]["largest"] == found["ulps"]["largest"] == 0.0
    assert found["cosine"] == 1.0
    assert figures([0.0], [0.0])["cosine"] == 1.0


def test_an_error_at_a_zero_is_infinite_in_relation_and_finite_elsewhere() -> None:
    """It must not hide behind a division by nothing."""
    found = figures([1e-3, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert found["relative"]["largest"] == math.inf
    assert found["relative"]["median"] == 0.0
    assert math.isfinite(found["ulps"]["largest"])


def test_cosine_of_large_small_and_opposite_vectors() -> None:
    """Squares would leave the range of either."""
    assert figures([1e38, 1e38], [1e38, 1e38])["cosine"] == pytest.approx(1.0)
    assert figures([1e-38, 0.0], [0.0, 1e-38])["cosine"] == pytest.approx(0.0)
    assert figures([1.0, 2.0], [-1.0, -2.0])["cosine"] == pytest.approx(-1.0)
    assert figures([0.0], [1.0])["cosine"] == 0.0


def test_what_is_not_finite_is_left_to_its_own_check() -> None:
    """Figures are of the elements that are finite on both sides."""
    found = figures([np.inf, 1.0, np.nan], [np.inf, 1.0, 2.0])
    assert found["elements"] == 1
    assert found["absolute"]["largest"] == 0.0
    assert figures([np.nan], [1.0])["elements"] == 0
