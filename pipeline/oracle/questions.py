"""The cases that a plan asks: drawn from a signature, and real rows where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline import cases
from pipeline.records import Case, Plan, Signature
from pipeline.samples import Samples
from pipeline.truth.trial import static_batch

Arrays = Mapping[str, np.ndarray]

REPORTED_BATCH = 3  # of cases that are reported and not judged
_TRIED_BATCH = 3


@dataclass(frozen=True)
class Question:
    """A case with its inputs."""

    case: Case
    feed: Arrays


def drawn(signature: Signature, kind: str, batch: int, seed: int) -> Question:
    """A case of a kind."""
    key = f"{kind.replace(' ', '_')}{'' if kind == cases.RANDOM else '_'}{batch}"
    return Question(Case(key=key, kind=kind, batch=batch, seed=seed), cases.generate(signature, batch, seed, kind))


def tries(signature: Signature, seed: int) -> Iterator[Question]:
    """A few rows of every kind: what a model runs on these it may be asked more of."""
    static = static_batch(signature)
    for batch in (1, _TRIED_BATCH) if static is None else (static,):
        yield drawn(signature, cases.RANDOM, batch, seed)
    for kind in cases.kinds(signature)[1:]:
        yield drawn(signature, kind, static or _TRIED_BATCH, seed)


def ordinary(signature: Signature, plan: Plan, seed: int) -> list[Question]:
    """Random inputs at each batch size, then one case of each other kind."""
    random = [drawn(signature, cases.RANDOM, batch, seed) for batch in plan.batches]
    return [*random, *(drawn(signature, kind, plan.kind_batch, seed) for kind in cases.kinds(signature)[1:])]


def reported(signature: Signature, plan: Plan, seed: int) -> list[Question]:
    """Cases that are reported and not judged."""
    batch = static_batch(signature) or min(REPORTED_BATCH, plan.kind_batch)
    return [drawn(signature, kind, batch, seed) for kind in cases.reported_kinds(signature)]


def real(samples: Samples, plan: Plan) -> list[Question]:
    """The first real rows, at each batch size that there are enough of."""
    batches = [batch for batch in plan.batches if batch <= samples.rows] or [samples.rows]
    return [Question(Case(key=f"real{batch}", kind="real", batch=batch), samples.first(batch)) for batch in batches]
