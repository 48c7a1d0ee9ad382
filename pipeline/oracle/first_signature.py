"""The signature under which a model runs: found by asking it for a few rows of what each would promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from numpy.typing import ArrayLike

from pipeline import cases
from pipeline.errors import BadInput
from pipeline.oracle.asked import Asked, limits_of
from pipeline.oracle.asking import NoAnswer, NoAnswerInTime
from pipeline.oracle.own_sizes import WAY_OUT
from pipeline.oracle.questions import tries
from pipeline.records import Signature
from pipeline.samples import Samples, fitting_samples, task_rows
from pipeline.truth import plan as plans
from pipeline.truth.refusals import told_sized_by_numbers
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
        unfit: why the rows of a task are no samples, where they are not.
    """

    signature: Signature
    longest: plans.Longest | None
    samples: Samples | None
    refused: str | None
    unfit: str | None = None


def that_runs(asked: Asked, samples: Mapping[str, ArrayLike] | None, seed: int, *, of_task: bool = False) -> Found:
    """The first signature under which a model runs on inputs that are drawn from it; else one that the samples fit.

    Args:
        asked: the model, and who answers.
        samples: real inputs by name.
        seed: of the inputs that are drawn.
        of_task: whether the samples are a task's data, which nobody gave for this: where they don't fit a model that
            runs on what is drawn, that is told.

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
            fitting, unfit = _beside_drawn(samples, candidate, of_task)
            return Found(candidate, longest, fitting, None, unfit)
    if samples is None:
        raise refusal(asked.model, first)
    try:
        signature, fitting = first_that_fits(offered, task_rows(samples, asked.signature) if of_task else samples)
    except BadInput as unfit:
        raise refusal(asked.model, first, str(unfit)) if of_task else unfit from None
    told = f"the model does not run on inputs drawn from its signature: {first}"
    return Found(signature, _longest(asked, signature), fitting, told)


def _beside_drawn(
    samples: Mapping[str, ArrayLike] | None, signature: Signature, of_task: bool
) -> tuple[Samples | None, str | None]:
    """The samples that are asked beside drawn inputs; and, of a task's data, why there are none."""
    if samples is None:
        return None, None
    if not of_task:
        return fitting_samples(samples, signature), None
    try:
        return fitting_samples(task_rows(samples, signature), signature), None
    except BadInput as unfit:
        return None, str(unfit)


def _longest(asked: Asked, signature: Signature) -> plans.Longest | None:
    """How long free axes may get: for a model of images sixteen times the shortest may be some gigabytes."""
    if not cases.free_axes(signature):
        return None
    sizes = ((times, cases.longest_size(signature, times)) for times in cases.LONGEST_TIMES)
    return plans.longest(((times, asked.work(size)) for times, size in sizes), free_memory())


def refusal(
    model: keras.Model, failed: NoAnswer | None, unfit: str | None = None, *, beside: str | None = None
) -> BadInput:
    """What is said of a model that runs on nothing that it is given.

    What a call site gives whose size the numbers fed decide fits no other result: that is the reason then.

    Args:
        model: which was asked.
        failed: what it said last.
        unfit: why its task's data is no help.
        beside: what it was said of drawn inputs, where it failed on samples.
    """
    drawn = f"the model does not run on inputs drawn from its signature: {failed}"
    told = drawn if beside is None else f"{beside}; nor does it run on the samples: {failed}"
    origin = told_sized_by_numbers(model)
    if origin is not None:
        return BadInput(f"{told}; {origin}: {WAY_OUT}")
    data = "" if unfit is None else f"; its task's data is no help: {unfit}"
    return BadInput(
        f"{told}{data}; give samples that it runs on (--samples FILE.npz, ExportOptions(samples=...)) or static shapes "
        "to its inputs, or check that it runs at all"
    )
