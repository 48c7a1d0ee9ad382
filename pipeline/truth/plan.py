"""What an export asks of Keras: how many rows of each kind, and how many rounds of moved weights.

Worked out from counts of the model's graph and bytes, before anything runs, and never from a clock: a busy machine
plans what an idle one does. The unit is a row pass, one sample row through the model once: in its own precision, in
float64, and in float64 with noise inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.cases import LONGEST_TIMES
from pipeline.records import Effort, Plan

# Of noise: where the terms of a sum cancel, noise of like signs cancels too, and one draw of signs may show nothing.
DRAWS = 4
# Beside each of them, where outputs are integers or truth values, so many of noise of any size up to some units. A
# decision between two numbers that noise makes equal falls otherwise in half of these: twelve leave one element in some
# thousands untold. Noise is as large as the units that an artifact is allowed besides Keras' own error
# (`budget_rule.ULPS`); signs alone would move both numbers alike every other time.
DECISIONS_A_DRAW = 3
DECISION_UNITS = 4.0
FIRST_DECISION = 1000  # the number of the first such draw

# Of an imaginary machine, which counts are turned into seconds by: two cores, as they were measured (docs/LOG.md).
_OPERATIONS_PER_S = 2e10
_S_PER_ELEMENT = 1.5e-9
_S_PER_NOISY_ELEMENT = 12e-9
_S_PER_NODE = 4e-6
_WIDE = 2.0  # float64 takes so many times as much as float32
_S_PER_TRACED = 0.8e-3  # an operation of a graph that Python builds
_S_PER_PROCESS = 5.0  # TensorFlow and a model are loaded
_BYTES_MOVED_PER_S = 1e9
# Who answers, and the SavedModel's half of the verdict.
_PROCESSES = 2
# How often the operations of the compiled function are traced: for the truth, the SavedModel and the ONNX file; besides
# there is the float64 form. How often weights are written and read: as a copy, in the float64 form, and in the
# SavedModel, the ONNX file and `model.keras`, each of which is loaded again.
_TRACES, _COPIES = 3, 8
_COPIES_A_ROUND = 2  # in float32 and float64
# What an export at standard effort may ask for, in seconds of that machine.
AFFORDABLE_S = 15.0

# What a case may take, counted as if nothing were given back before its end: a share of the memory that is free, and
# never more than this many bytes.
_SHARE_OF_MEMORY = 0.25
_MOST_BYTES = 2**27
_LEAST_ROWS = 2  # one size of a batch above 1
# Of what is affordable the case of long axes may take so much.
_SHARE_OF_LONGEST = 0.2


@dataclass(frozen=True)
class Work:
    """What one row through a model amounts to, counted from its traced graph.

    Attributes:
        operations: of arithmetic, in products and convolutions.
        elements: that come out of operations, inputs and outputs among them.
        nodes: that run, however many rows there are.
    """

    operations: float
    elements: float
    nodes: float

    @property
    def row_bytes(self) -> int:
        """Memory that one row takes at most, in float64, if nothing is given back before its end."""
        return int(8 * self.elements)

    def row(self, draws: int) -> float:
        """Seconds of a row: once in float32, once in float64, and with noise as often as there are draws."""
        narrow = self.operations / _OPERATIONS_PER_S + self.elements * _S_PER_ELEMENT
        wide = _WIDE * narrow
        return narrow + wide + draws * (wide + self.elements * _S_PER_NOISY_ELEMENT)

    def case(self, rows: int, draws: int) -> float:
        """Seconds of a case of so many rows."""
        return rows * self.row(draws) + self.nodes * _S_PER_NODE * (2 + draws)


@dataclass(frozen=True)
class Fixed:
    """What an export takes however many rows are asked.

    Attributes:
        traced: operations of the compiled function's graph.
        traced_wide: of the float64 form's with noise; 0 where there is none.
        weight_bytes: of all weights.
    """

    traced: int
    traced_wide: int
    weight_bytes: int

    @property
    def round(self) -> float:
        """Seconds that weights take to be moved in a round."""
        return _COPIES_A_ROUND * self.weight_bytes / _BYTES_MOVED_PER_S

    def told(self) -> dict[str, float]:
        """Seconds by what they go to, for the manifest."""
        seconds = {
            "traces": (_TRACES * self.traced + self.traced_wide) * _S_PER_TRACED,
            "processes": _PROCESSES * _S_PER_PROCESS,
            "weights": _COPIES * self.weight_bytes / _BYTES_MOVED_PER_S,
        }
        return {name: round(value, 3) for name, value in seconds.items()}


NOTHING_FIXED = Fixed(0, 0, 0)


@dataclass(frozen=True)
class Longest:
    """The case of long axes: `times` the shortest. `work` is of one row of it, `most_rows` what memory allows."""

    times: int
    work: Work
    most_rows: int

    def rows(self, batch: int) -> int:
        """How many of so many rows."""
        return min(batch, self.most_rows)


def longest(offered: Iterable[tuple[int, Work]], free_memory: int) -> Longest | None:
    """The first of the lengths offered of which two rows are affordable, else the last; None where none is offered.

    Args:
        offered: how many times the shortest, with the work of a row then; the longest first.
        free_memory: of the machine, in bytes.
    """
    found = None
    for times, work in offered:
        rows = _rows_allowed(work, free_memory)
        found = Longest(times, work, max(1, rows))
        if rows >= _LEAST_ROWS and work.case(_LEAST_ROWS, DRAWS) <= _SHARE_OF_LONGEST * AFFORDABLE_S:
            break
    return found


def rows_at_once(work: Work, free_memory: int) -> int:
    """How many rows memory allows in one batch, and at least one.

    Args:
        work: of one row.
        free_memory: of the machine, in bytes.
    """
    return max(1, _rows_allowed(work, free_memory))


def _rows_allowed(work: Work, free_memory: int) -> int:
    return min(_MOST_BYTES, int(_SHARE_OF_MEMORY * free_memory)) // max(1, work.row_bytes)


@dataclass(frozen=True)
class _Level:
    """How much is asked: see `Plan`. `round_draws` are draws of noise of a round's own."""

    batches: tuple[int, ...]
    kind_batch: int
    round_batch: int
    draws: int
    round_draws: int


# From all that is ever asked to the least that says anything: every kind, two sizes of a batch, every round.
_LEVELS = (
    _Level((1, 3, 17, 64, 257), 17, 3, DRAWS, DRAWS),
    _Level((1, 3, 17, 64), 17, 3, DRAWS, DRAWS),
    _Level((1, 3, 17), 8, 3, DRAWS, DRAWS),
    _Level((1, 3), 4, 2, DRAWS, DRAWS),
    _Level((1, 2), 2, 1, DRAWS, DRAWS),
    _Level((1, 2), 2, 1, 2, 0),
    _Level((1, 2), 1, 1, 2, 0),
)
_LEAST = _LEVELS[-1]


@dataclass(frozen=True)
class Asked:
    """A plan, and the draws of noise that it affords for a case and for a round of moved weights."""

    plan: Plan
    draws: int
    round_draws: int


def planned(
    effort: Effort,
    work: Work,
    kinds: int,
    shared: int,
    base_cases: int,
    free_memory: int,
    static_batch: int | None,
    *,
    has_decisions: bool = False,
    longest: Longest | None = None,
    fixed: Fixed = NOTHING_FIXED,
) -> Asked:
    """The plan of an export.

    Args:
        effort: `thorough` asks for all that is ever asked, `quick` for the least; `standard` for as much as
            `AFFORDABLE_S` allows, and never for less than the least.
        work: of one row.
        kinds: of cases beside random ones.
        shared: weights that several call sites read.
        base_cases: cases with random weights, which rounds are asked on.
        free_memory: of the machine, in bytes.
        static_batch: of every case, where the model fixes one.
        has_decisions: whether some outputs are integers or truth values, which take draws of noise of their own.
        longest: the case of long axes, which is one of the kinds; None where no axis is free.
        fixed: what does not depend on rows.
    """
    rounds = rounds_of(shared)
    levels = {"thorough": _LEVELS[:1], "standard": _LEVELS, "quick": (_LEAST,)}[effort]
    most_rows = max(_LEAST_ROWS, _rows_allowed(work, free_memory))

    def longest_rows(of_kind: int) -> int | None:
        return None if longest is None else static_batch or longest.rows(of_kind)

    def cost(level: _Level) -> float:
        batches = [static_batch] if static_batch is not None else _that_fit(level.batches, most_rows)
        of_kind, of_round = (static_batch or min(each, most_rows) for each in (level.kind_batch, level.round_batch))
        ordinary = [*batches, *[of_kind] * (kinds - (longest is not None)), *[of_round] * base_cases]
        draws, round_draws = (with_decisions(each, has_decisions) for each in (level.draws, level.round_draws))
        long = 0.0 if longest is None else longest.work.case(longest_rows(of_kind) or 1, draws)
        return (
            sum(work.case(rows, draws) for rows in ordinary)
            + long
            + rounds * (work.case(of_round, round_draws) + fixed.round)
        )

    chosen = next((level for level in levels if cost(level) <= AFFORDABLE_S), levels[-1])
    kind_batch = static_batch or min(chosen.kind_batch, most_rows)
    plan = Plan(
        effort=effort,
        batches=(static_batch,) if static_batch is not None else tuple(_that_fit(chosen.batches, most_rows)),
        kind_batch=kind_batch,
        longest_batch=longest_rows(kind_batch),
        longest_times=LONGEST_TIMES[0] if longest is None else longest.times,
        round_batch=static_batch or min(chosen.round_batch, most_rows),
        rounds=rounds,
        shared=shared,
        base_cases=base_cases,
        operations=work.operations,
        elements=work.elements,
        row_bytes=work.row_bytes,
        cost=cost(chosen),
        fixed=fixed.told(),
        affordable=AFFORDABLE_S if effort == "standard" else None,
        thinned=(
            *_thinned(effort, chosen, cost(_LEVELS[0]), most_rows, static_batch),
            *_shortened(longest, kind_batch, static_batch),
        ),
    )
    return Asked(plan, chosen.draws, chosen.round_draws)


def _that_fit(batches: tuple[int, ...], most_rows: int) -> list[int]:
    """The sizes of batches that memory allows: 1 and one above it, whatever they take."""
    fitting = [batch for batch in batches if batch <= most_rows]
    return fitting if len(fitting) > 1 else [1, _LEAST_ROWS]


def with_decisions(draws: int, has_decisions: bool) -> int:
    """How often a case is answered with noise that has so many draws of units."""
    return draws * (1 + DECISIONS_A_DRAW) if has_decisions else draws


def rounds_of(shared: int) -> int:
    """How many rounds ask each of so many weights: one for each digit of their numbers in binary, and one with all."""
    digits = math.ceil(math.log2(shared + 1)) if shared else 0
    return digits + 1 if shared > 1 else digits


def codes(shared: int) -> tuple[tuple[int, ...], ...]:
    """The weights that are moved together in each round, by their place among the shared ones.

    Weight number `i` is in round `r` where digit `r` of `i + 1` in binary is 1: no two weights are in the same rounds,
    so that the rounds that fail name the weight. The last round has all.
    """
    digits = rounds_of(shared) - (1 if shared > 1 else 0)
    single = [tuple(place for place in range(shared) if (place + 1) >> digit & 1) for digit in range(digits)]
    return (*single, *([tuple(range(shared))] if shared > 1 else []))


def _thinned(effort: Effort, level: _Level, whole: float, most_rows: int, static_batch: int | None) -> list[str]:
    """What is less than in a thorough export, and why."""
    thorough = _LEVELS[0]
    told = []
    if static_batch is None and most_rows < max(level.batches):
        told.append(f"no batches over {most_rows} rows: they would take too much memory")
    if level == thorough:
        return told
    why = "effort is quick" if effort == "quick" else f"all of it would cost {whole:.0f} of {AFFORDABLE_S:g} affordable"
    if static_batch is None:
        told.append(f"batches of {_listed(level.batches)} rows, not {_listed(thorough.batches)}: {why}")
        told.append(f"{level.kind_batch} rows of each other kind, not {thorough.kind_batch}: {why}")
    if level.draws < thorough.draws:
        told.append(f"{level.draws} draws of noise, not {thorough.draws}: {why}")
    if level.round_draws < thorough.round_draws:
        told.append(f"rounds of moved weights take the noise of the case that they change: {why}")
    return told


def _shortened(longest: Longest | None, kind_batch: int, static_batch: int | None) -> Iterator[str]:
    """What the case of long axes has less of, and why."""
    if longest is None:
        return
    if longest.times < LONGEST_TIMES[0]:
        yield f"axes {longest.times} times the shortest at most, not {LONGEST_TIMES[0]}: a row would take too much"
    if static_batch is None and longest.rows(kind_batch) < kind_batch:
        yield f"{longest.rows(kind_batch)} rows of the longest axes, not {kind_batch}: they would take too much memory"


def _listed(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
