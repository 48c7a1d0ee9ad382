"""The signature under which a model runs: found by asking it for a few rows of what each would promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from pipeline import cases
from pipeline.errors import BadInput
from pipeline.oracle.asked import Asked, limits_of
from pipeline.oracle.asking import NoAnswer, NoAnswerInTime
from pipeline.oracle.questions import tries
from pipeline.records import Signature
from pipeline.samples import Samples, fitting_samples
from pipeline.truth import plan as plans
from pipeline.truth.trial import candidates, first_that_fits
from pipeline.workers.limits import free_memory

# Signatures on which a model may reach a limit before no others are tried: each takes minutes.
_MOST_LIMITS_REACHED = 2


@dataclass(frozen=True)
class Found:
    """What a model runs on.

    Attributes:
        signature: with the widest promises under which it runs.
        longest: how long its free axes get; None where it has none.
        samples: real inputs by that signature, where there are any.
        refused: what it said to inputs that were drawn, where it runs on none: then there are samples.
    """

    signature: Signature
    longest: plans.Longest | None
    samples: Samples | None
    refused: str | None


def that_runs(asked: Asked, samples: Mapping[str, ArrayLike] | None, seed: int) -> Found:
    """The first signature under which a model runs on inputs that are drawn from it; else one that the samples fit.

    Args:
        asked: the model, and who answers.
        samples: real inputs by name.
        seed: of the inputs that are drawn.

    Raises:
        BadInput: if it runs on none, and there are no samples; if those do not fit.
    """
    first: NoAnswer | None = None
    limits_reached = 0
    offered = list(candidates(asked.model, asked.signature))
    for candidate in offered:
        longest = _longest(asked, candidate)
        try:
            for question in tries(candidate, seed, longest):
                asked.answers(question.feed, limits_of(0.0))
        except NoAnswer as error:
            first = first or error
            limits_reached += isinstance(error, NoAnswerInTime)
            if limits_reached == _MOST_LIMITS_REACHED:
                break
        else:
            return Found(candidate, longest, None if samples is None else fitting_samples(samples, candidate), None)
    if samples is None:
        raise refusal(first)
    signature, fitting = first_that_fits(offered, samples)
    told = f"the model does not run on inputs drawn from its signature: {first}"
    return Found(signature, _longest(asked, signature), fitting, told)


def _longest(asked: Asked, signature: Signature) -> plans.Longest | None:
    """How long free axes may get: for a model of images sixteen times the shortest may be some gigabytes."""
    if not cases.free_axes(signature):
        return None
    sizes = ((times, cases.longest_size(signature, times)) for times in cases.LONGEST_TIMES)
    return plans.longest(((times, asked.work(size)) for times, size in sizes), free_memory())


def refusal(failed: NoAnswer | None) -> BadInput:
    """What is said of a model that runs on nothing that it is given."""
    return BadInput(
        f"the model does not run on inputs drawn from its signature: {failed}; give samples that it runs on "
        "(--samples FILE.npz, ExportOptions(samples=...)) or static shapes to its inputs, or check that it runs at all"
    )
