import random
import time
from itertools import pairwise

from pipeline.measure.exchange import TimingRequest
from pipeline.measure.timing import Cell, Runner, Schedule, time_opened
from tests.measure.workloads import Work, subject


def cell(first: int, rounds: int) -> Cell:
    """A cell of two variants, numbered from `first`."""
    return Cell((Runner(first, int, 1e-6), Runner(first + 1, int, 1e-6)), repeats=1, rounds=rounds)


def orders(seed: str, rounds: int = 50) -> list[list[int]]:
    """The order of each round: three cells of two."""
    schedule = Schedule([cell(index, rounds) for index in (0, 2, 4)], random.Random(seed))
    return [[runner.index for _, runner in schedule.round(number)] for number in range(schedule.rounds)]


def test_every_round_has_each_variant_once_beside_its_twin() -> None:
    """Pairs are neighbours, so that whatever drifts meets both."""
    for order in orders("0/0"):
        assert sorted(order) == [0, 1, 2, 3, 4, 5]
        assert all(first // 2 == second // 2 for first, second in zip(order[::2], order[1::2], strict=True))


def test_either_variant_comes_first_and_cells_change_places() -> None:
    """No order of two rounds is the rule."""
    found = orders("0/0")
    first = [order.index(0) < order.index(1) for order in found]
    assert 10 < sum(first) < 40
    assert len({tuple(order) for order in found}) > 20
    assert sum(one == two for one, two in pairwise(found)) < 10


def test_a_seed_gives_one_order() -> None:
    """The same seed the same order, another seed another."""
    assert orders("0/0") == orders("0/0")
    assert orders("0/0") != orders("0/1")


def test_a_slow_cell_takes_part_in_rounds_spread_over_all() -> None:
    """Three of nine rounds: every third."""
    schedule = Schedule([cell(0, 9), cell(2, 3)], random.Random("0"))
    with_slow = [number for number in range(9) if any(r.index == 2 for _, r in schedule.round(number))]
    assert with_slow == [2, 5, 8]


def test_a_budget_cuts_the_rounds_of_slow_work_only() -> None:
    """10 ms of work in a share of 0.1 s gets the least number of rounds, 1 µs of work all of them."""
    request = TimingRequest(
        loader="",
        subjects=(subject("slow"), subject("quick")),
        rounds=100,
        warm_ups=1,
        least_sample_s=1e-5,
        budget_s=0.05,
        seed="0",
    )
    samples, repeats = time_opened(request, [Work(lambda: time.sleep(0.02)), Work(int)], lambda *_: None)
    assert [len(one) for one in samples] == [7, 100]
    assert repeats[0] == 1 < repeats[1]
