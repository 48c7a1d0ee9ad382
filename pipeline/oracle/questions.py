"""The cases that a plan asks: drawn from a signature, and real rows where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline import cases
from pipeline.records import Case, Plan, Signature
from pipeline.samples import Samples
from pipeline.truth.plan import Longest
from pipeline.truth.trial import static_batch

Arrays = Mapping[str, np.ndarray]

REPORTED_BATCH = 3  # of cases that are reported and not judged
_TRIED_BATCH = 2


@dataclass(frozen=True)
class Question:
    """A case with its inputs."""

    case: Case
    feed: Arrays


def drawn(
    signature: Signature, kind: str, batch: int, seed: int, longest_times: int = cases.LONGEST_TIMES[0]
) -> Question:
    """A case of a kind."""
    key = f"{kind.replace(' ', '_')}{'' if kind == cases.RANDOM else '_'}{batch}"
    case = Case(key=key, kind=kind, batch=batch, seed=seed, longest_times=longest_times)
    return Question(case, cases.generate(signature, batch, seed, kind, longest_times))


def tries(signature: Signature, seed: int, longest: Longest | None) -> Iterator[Question]:
    """A few rows of every kind that a signature decides: what a model runs on these it may be asked more of.

    Scaled inputs and zeros say nothing of a signature. Of the case of long axes no more rows than `longest` affords.
    """
    static = static_batch(signature)
    for batch in (1, _TRIED_BATCH) if static is None else (static,):
        yield drawn(signature, cases.RANDOM, batch, seed)
    for kind in cases.kinds_by_signature(signature):
        if kind == cases.LONGEST and longest is not None:
            yield drawn(signature, kind, static or longest.rows(_TRIED_BATCH), seed, longest.times)
        else:
            yield drawn(signature, kind, static or _TRIED_BATCH, seed)


def ordinary(signature: Signature, plan: Plan, seed: int) -> list[Question]:
    """Random inputs at each batch size, then one case of each other kind."""
    random = [drawn(signature, cases.RANDOM, batch, seed) for batch in plan.batches]
    others = [kind for kind in cases.kinds(signature)[1:] if kind != cases.LONGEST]
    found = [*random, *(drawn(signature, kind, _rows(signature, plan, kind), seed) for kind in others)]
    if cases.LONGEST in cases.kinds(signature):
        found.append(drawn(signature, cases.LONGEST, plan.longest_batch or plan.kind_batch, seed, plan.longest_times))
    return found


def _rows(signature: Signature, plan: Plan, kind: str) -> int:
    """How many rows a case of a kind has: two at least of one whose rows are not all alike in what they are for."""
    least = _TRIED_BATCH if kind in cases.SEVERAL_SENSES and static_batch(signature) is None else 1
    return max(least, plan.kind_batch)


def reported(signature: Signature, plan: Plan, seed: int) -> list[Question]:
    """Cases that are reported and not judged."""
    batch = static_batch(signature) or min(REPORTED_BATCH, plan.kind_batch)
    return [drawn(signature, kind, batch, seed) for kind in cases.reported_kinds(signature)]


def real(samples: Samples, plan: Plan) -> list[Question]:
    """The first real rows, at each batch size that there are enough of."""
    batches = [batch for batch in plan.batches if batch <= samples.rows] or [samples.rows]
    return [Question(Case(key=f"real{batch}", kind="real", batch=batch), samples.first(batch)) for batch in batches]
