"""How a task's held-out data go through a model: so many rows at once, each time within limits of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import BadInput
from pipeline.models.held_out import BATCH, in_batches
from pipeline.models.task import Arrays, NamedArrays, Predict
from pipeline.oracle.asked import Asked, limits_of
from pipeline.oracle.asking import NoAnswer
from pipeline.records import InputSpec
from pipeline.truth.plan import rows_at_once
from pipeline.truth.trial import static_batch
from pipeline.workers.limits import Limits, free_memory


@dataclass(frozen=True)
class Batches:
    """How held-out data are cut.

    Attributes:
        inputs: of the model.
        rows: at once.
        is_static: whether it takes no other number.
        limits: of each batch.
    """

    inputs: tuple[InputSpec, ...]
    rows: int
    is_static: bool
    limits: Limits

    def through(self, predict: Predict) -> Predict:
        """Any number of rows through what takes so many, in the dtypes of the inputs.

        A metric is given all answers at once: it is the task's own, and may need them all.
        """

        def cast(feed: NamedArrays) -> NamedArrays:
            return predict({spec.name: np.asarray(feed[spec.name], spec.dtype) for spec in self.inputs})

        batched = in_batches(cast, self.rows, is_static=self.is_static)

        def predicted(feed: NamedArrays) -> NamedArrays:
            _refuse_missing(self.inputs, feed)
            return batched({spec.name: feed[spec.name] for spec in self.inputs})

        return predicted

    def through_keras(self, asked: Asked) -> Predict:
        """Any number of rows through the model.

        What the result raises where the model gives no answer is `BadInput`: a metric passes that on.
        """

        def answer(feed: NamedArrays) -> NamedArrays:
            try:
                return asked.answers(feed, self.limits).float32
            except NoAnswer as failed:
                raise BadInput(f"the model does not run on its task's data: {failed}") from failed

        return self.through(answer)


def batches_of(asked: Asked, held_out: Arrays) -> Batches:
    """As many rows as memory takes by the count of a row's elements, and time for as much as they amount to.

    Args:
        asked: the model.
        held_out: by the size of whose longest axis a row is counted, where the model leaves one free.
    """
    shapes = [(spec.shape, np.shape(held_out.inputs.get(spec.name, ()))) for spec in asked.signature.inputs]
    sizes = [pair for axes, found in shapes for pair in list(zip(axes, found, strict=False))[1:]]
    work = asked.work(max((size for axis, size in sizes if isinstance(axis, str)), default=1))
    static = static_batch(asked.signature)
    rows = static or min(BATCH, rows_at_once(work, free_memory()))
    return Batches(asked.signature.inputs, rows, static is not None, limits_of(work.case(rows, 0)))


def _refuse_missing(inputs: tuple[InputSpec, ...], feed: Mapping[str, np.ndarray]) -> None:
    for spec in inputs:
        if spec.name not in feed:
            names = ", ".join(each.name for each in inputs)
            raise BadInput(f"the task's held-out data hold no {spec.name!r}: its model's inputs are {names}")
