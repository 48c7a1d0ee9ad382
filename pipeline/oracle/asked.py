"""A model that was traced once, and the process that answers for it, with the weights as they were then."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from pipeline.folders import temporary_folder
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.graph.weights import named_weights
from pipeline.oracle.asking import NONE_MOVED, Answers, Moves, Oracle, opened
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.traced import Traced, input_key, output_key, traced
from pipeline.oracle.work import has_loops, work_of
from pipeline.progress import stage
from pipeline.truth.plan import Fixed, Work
from pipeline.truth.refusals import refuse_unexportable
from pipeline.truth.signature import read_signature
from pipeline.workers.limits import Limits, free_memory

Arrays = Mapping[str, np.ndarray]

# How long an answer may take: so many seconds and so many times what the plan has counted. A busy machine, or a layer
# whose work no count tells, stays well below; a loop that never ends does not.
_LEAST_S, _TIMES = 120.0, 100.0
# Of a case that only is to be reported.
_LEAST_REPORTED_S = 20.0
# Bytes of weights that are worth the seconds in which a process loads TensorFlow again.
_WORTH_A_START = 1 << 28


class Asked:
    """A model, traced, and who answers for it. Use it in a `with` block: the process ends with that.

    Attributes:
        model: as it was given.
        signature: the model's, with the dtypes that its compiled function returns.
        snapshot: the weights that are asked.
        weights: their names, in the model's order.
        no_float64: why there is no float64 form; None if there is one.
    """

    def __init__(self, model: keras.Model) -> None:
        with contextlib.ExitStack() as ends:
            self._oracle: Oracle = ends.enter_context(opened())
            self._oracle.start()
            self._folder = ends.enter_context(temporary_folder("traced"))
            self.model = model
            with stage("plan"):
                self.snapshot = Snapshot(model)  # before anything else: whoever trains it goes on
                refuse_unexportable(model)
                signature = read_signature(model)
                self.weights = named_weights(flatten_labelled(model), read(model))
            with stage("traces"):
                self._traced: Traced = traced(model, signature, self.snapshot)
                self.signature = self._traced.signature
                self.no_float64 = self._traced.no_float64
                self._hand_over()
            self._ends = ends.pop_all()

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.close()

    def _hand_over(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        self._traced.save(self.snapshot, folder)
        self._oracle.load(folder)

    def renew(self) -> None:
        """Ask for the weights that the model has now."""
        self.snapshot.take_again()
        self._hand_over()

    def rest(self) -> None:
        """Give back the memory of whoever answers, where it is much; the next question starts another process."""
        if self.fixed().weight_bytes >= _WORTH_A_START:
            self._oracle.close()

    def interrupt(self) -> None:
        """Have the question that another thread waits for end without an answer."""
        self._oracle.interrupt()

    def work(self, free_axis: int) -> Work:
        """What a row amounts to, an axis that is free counted at this size."""
        return work_of(self._traced.served, free_axis)

    @property
    def has_loops(self) -> bool:
        """Whether a part of the model runs more than once for one answer."""
        return has_loops(self._traced.served)

    def fixed(self) -> Fixed:
        """What an export takes however many rows are asked."""
        wide = self._traced.noisy
        return Fixed(
            traced=len(self._traced.served.graph.get_operations()),
            traced_wide=0 if wide is None else len(wide.function.graph.get_operations()),
            weight_bytes=sum(self.snapshot.value(each.variable).nbytes for each in self.weights),
        )

    def answers(
        self,
        feed: Arrays,
        limits: Limits,
        moves: Moves = NONE_MOVED,
        *,
        draws: int | None = None,
        at_scale: bool = False,
    ) -> Answers:
        """What the model answers, by the names of inputs and outputs.

        Args:
            feed: an array for every input.
            limits: of the answer.
            moves: weights that are moved meanwhile.
            draws: of noise on the float64 form, which is asked if this is given.
            at_scale: whether noise is from now on of the scales that results have here.

        Raises:
            NoAnswer: if the model raised an exception or reached a limit.
        """
        keyed = {input_key(index): np.asarray(feed[spec.name]) for index, spec in enumerate(self.signature.inputs)}
        found = self._oracle.answer(
            keyed, limits, moves, in_float64=draws is not None, draws=draws or 0, at_scale=at_scale
        )
        return Answers(
            self._named(found.float32),
            None if found.float64 is None else self._named(found.float64),
            tuple(self._named(each) for each in found.noisy),
            tuple(self._named(each) for each in found.decided),
        )

    def _named(self, answers: Arrays) -> dict[str, np.ndarray]:
        return {spec.name: answers[output_key(index)] for index, spec in enumerate(self.signature.outputs)}


def limits_of(cost: float) -> Limits:
    """The limits of an answer that the plan has counted as so many seconds."""
    return Limits(_LEAST_S + _TIMES * cost, free_memory())


def limits_of_reported(cost: float) -> Limits:
    """The limits of an answer that only is reported: odd numbers make a loop run for ever."""
    return Limits(_LEAST_REPORTED_S + _TIMES * cost, free_memory())
