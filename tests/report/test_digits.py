import math

import pytest

from pipeline.report.digits import percent_less, ratio_text, time_texts
from tests.report.figures_by_hand import cell, ratio


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (1.2345, 1.2222, 1.2468, "1.23 (1.22 to 1.25)"),
        (1.2345, 0.9, 1.6, "1.2 (0.9 to 1.6)"),
        (0.9987, 0.9954, 1.0021, "0.999 (0.995 to 1.002)"),
        (3.1, 1.5, 6.4, "3.1 (1.5 to 6.4)"),
    ],
)
def test_a_ratio_has_the_digits_that_its_interval_supports(value: float, low: float, high: float, text: str) -> None:
    """The last digit is the first one that the half-width touches."""
    assert ratio_text(ratio(value, low, high)) == text


def test_a_bound_beside_one_is_not_rounded_onto_it() -> None:
    """Else the text would contradict its own verdict."""
    assert ratio_text(ratio(1.081, 1.002, 1.168)) == "1.081 (1.002 to 1.168)"


def test_one_process_has_no_interval_to_show() -> None:
    """One digit, and it says why."""
    assert ratio_text(ratio(1.2345, math.nan, math.nan)) == "1.2 (one process: no interval)"


def test_times_of_a_pair_share_unit_and_digits() -> None:
    """The wider spread decides for both."""
    assert time_texts(cell("shared", 2.341e-3, 2.345e-3), cell("unshared", 2.4e-3, 2.8e-3)) == ("2.3 ms", "2.6 ms")
    assert time_texts(cell("shared", 980e-6, 981e-6), cell("unshared", 1.1e-3, 1.14e-3)) == ("980 µs", "1120 µs")


@pytest.mark.parametrize(
    ("fewer", "more", "text"), [(79, 100, "21 % less"), (100, 100, "the same"), (110, 100, "10 % more")]
)
def test_a_saving_in_words(fewer: int, more: int, text: str) -> None:
    """Whole per cent: counts and bytes have no spread, and nobody needs more."""
    assert percent_less(fewer, more) == text
