import math

import numpy as np
import pytest

from pipeline.measure.statistics import ratio, ratios
from pipeline.records import CellSamples, Ratio
from tests.measure.workloads import subject


def samples(variant: str, *processes: list[float]) -> CellSamples:
    """One cell's samples, a list a process."""
    return CellSamples(
        subject=subject("adds", variant),
        device_used="cpu",
        samples_s=tuple(tuple(one) for one in processes),
        repeats=(1,) * len(processes),
    )


def simulated(rng: np.random.Generator, true_ratio: float) -> Ratio:
    """Eight processes of 40 pairs with a bias of each process, drift common to a pair, and long tails."""
    shared, unshared = [], []
    for _ in range(8):
        drift = np.exp(0.2 * rng.standard_normal(40))
        bias = math.exp(0.01 * rng.standard_normal())
        noise = np.exp(0.02 * rng.standard_t(2, (2, 40)))
        shared.append((drift * noise[0]).tolist())
        unshared.append((true_ratio * bias * drift * noise[1]).tolist())
    return ratio(samples("shared", *shared), samples("unshared", *unshared))


def test_the_ratio_is_that_of_pairs() -> None:
    """Drift that both share cancels: twice as slow in every pair is 2, whatever the times."""
    shared = [[1.0, 10.0, 3.0], [2.0, 5.0, 7.0]]
    found = ratio(samples("shared", *shared), samples("unshared", *[[2 * s for s in one] for one in shared]))
    assert (found.ratio, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert found.shows_difference
    assert found.processes == 2


def test_pairs_are_compared_before_medians_are_taken() -> None:
    """Two of three pairs are equal: the ratio is 1, though the medians of the variants are 2 and 3."""
    assert ratio(samples("shared", [1.0, 2.0, 10.0]), samples("unshared", [3.0, 2.0, 10.0])).ratio == pytest.approx(1)


def test_an_interval_of_three_processes_is_students() -> None:
    """log ratios -d, 0, d: half-width 4.3027 d / sqrt(3), from the t table for two degrees of freedom."""
    d = 0.01
    unshared = [[math.exp(value)] * 3 for value in (-d, 0.0, d)]
    found = ratio(samples("shared", *[[1.0] * 3] * 3), samples("unshared", *unshared))
    assert found.ratio == pytest.approx(1.0)
    assert math.log(found.high) == pytest.approx(4.3027 * d / math.sqrt(3), rel=1e-4)
    assert math.log(found.low) == pytest.approx(-math.log(found.high))
    assert not found.shows_difference


def test_one_process_has_no_interval_and_shows_nothing() -> None:
    """Even where it is twice as slow; and the record survives JSON, which has no NaN."""
    found = ratio(samples("shared", [1.0, 1.0]), samples("unshared", [2.0, 2.0]))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.shows_difference
    assert math.isnan(Ratio.model_validate_json(found.model_dump_json()).low)


def test_intervals_hold_what_they_promise() -> None:
    """Of 400 runs in which nothing differs 95 % contain 1; a difference of 5 % is seen in most."""
    rng = np.random.default_rng(1)
    covered = sum(not simulated(rng, 1.0).shows_difference for _ in range(400))
    assert 0.92 * 400 <= covered <= 0.985 * 400
    assert sum(simulated(rng, 1.05).shows_difference for _ in range(100)) > 90


def test_samples_that_are_not_pairs_are_refused() -> None:
    """Other numbers of samples, or another cell."""
    with pytest.raises(ValueError, match="not timed in pairs"):
        ratio(samples("shared", [1.0, 1.0]), samples("unshared", [1.0]))
    other = samples("unshared", [1.0]).model_copy(update={"subject": subject("adds", "unshared", 8)})
    with pytest.raises(ValueError, match="not timed in pairs"):
        ratio(samples("shared", [1.0]), other)


def test_a_cell_with_one_variant_has_no_ratio() -> None:
    """It is left out, the others stay."""
    alone = samples("shared", [1.0]).model_copy(update={"subject": subject("adds", "shared", 8)})
    found = ratios([samples("unshared", [1.0]), alone, samples("shared", [1.0])])
    assert [one.subject for one in found] == ["adds/inference/onnxruntime/cpu/batch1"]
