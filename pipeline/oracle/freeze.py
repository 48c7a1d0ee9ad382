"""Freezing inputs with Keras' float32 and float64 answers to disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import ArrayLike

from pipeline import cases, weight_values
from pipeline.budget_rule import MOST_ELEMENTS
from pipeline.oracle.archive import Archive
from pipeline.oracle.asked import Asked, limits_of, limits_of_reported
from pipeline.oracle.asking import NONE_MOVED, Answers, Moves, NoAnswer
from pipeline.oracle.first_signature import refusal, that_runs
from pipeline.oracle.own_sizes import refuse_own_sizes
from pipeline.oracle.questions import Question, drawn, ordinary, real, reported
from pipeline.oracle.rounds import (
    bases,
    hide_something,
    moved_kinds,
    moves,
    moves_seed,
    round_cases,
)
from pipeline.oracle.visibility import most_visible, tried
from pipeline.progress import advance, stage
from pipeline.records import Budget, Case, Effort, Truth
from pipeline.store import digest, refusing_unwritable, write_record
from pipeline.truth import plan as plans
from pipeline.truth.budgets import Answered, Settled, budgets, judged_by_feature
from pipeline.truth.eager import eager_differences
from pipeline.truth.refusals import told_sized_by_numbers
from pipeline.truth.trial import static_batch
from pipeline.weight_map.perturb import can_be_moved
from pipeline.workers.limits import free_memory

Arrays = Mapping[str, np.ndarray]

SEED = 20250130
# Of the random case whose results noise is measured by: the largest of not more rows.
_SCALE_BATCH = 17
_NOT_RANDOMISED = (
    f"random weights: not asked of a model of more than {MOST_ELEMENTS:,} parameters; where a weight of its own holds "
    "one number throughout (a fresh bias or scale), a loss of it may not show"
)


def freeze(
    model: keras.Model,
    folder: Path,
    samples: Mapping[str, ArrayLike] | None = None,
    seed: int = SEED,
    effort: Effort = "standard",
) -> Truth:
    """Ask Keras what is right, and write `samples.npz` and, last, `truth.json` into `folder`.

    Args:
        model: a functional or sequential model; it is left as it is.
        folder: an existing folder to write to.
        samples: real inputs by name, `(rows, ...)`: asked beside drawn ones, and alone where drawn ones don't run.
        seed: of the random inputs.
        effort: how much is asked (`truth/plan.py`).

    Raises:
        BadInput: if the model has no graph to read, can't be exported faithfully (`refusals`), runs on no inputs, the
            samples don't fit, or the folder can't be written.
    """
    with Asked(model) as asked:
        return ask(asked, folder, samples, seed, effort)


def ask(
    asked: Asked,
    folder: Path,
    samples: Mapping[str, ArrayLike] | None = None,
    seed: int = SEED,
    effort: Effort = "standard",
    *,
    apart: Path | None = None,
) -> Truth:
    """What `freeze` does, of a model that is traced already.

    Args:
        asked: the model, and who answers.
        folder: an existing folder to write to.
        samples: real inputs by name.
        seed: of the random inputs.
        effort: how much is asked.
        apart: an existing folder in which the truth about real rows is written, and not in `folder`: nobody may
            publish them. Where the model runs on them alone, nothing is written to `folder`.
    """
    with stage("truth"):
        return Freezing(asked, samples, seed, effort).to_disk(folder, apart)


class Stopped(Exception):
    """Another thread has stopped the asking."""


@dataclass
class _Held:
    """The cases of one truth with what is kept of them."""

    archive: Archive
    settled: list[Settled]


class Freezing:
    """One asking of all that is planned; lives as long as it takes.

    Attributes:
        signature: under which the model runs.

    Args:
        asked: the model, and who answers.
        samples: real inputs by name.
        seed: of the random inputs.
        effort: how much is asked.
        of_task: whether the samples are a task's data (`that_runs`).

    Raises:
        BadInput: if the model runs on no inputs.
    """

    def __init__(
        self,
        asked: Asked,
        samples: Mapping[str, ArrayLike] | None = None,
        seed: int = SEED,
        effort: Effort = "standard",
        *,
        of_task: bool = False,
    ) -> None:
        self._asked, self._seed, self._effort = asked, seed, effort
        shared = (each for each in asked.weights if each.is_shared)
        self._shared = tuple(each for each in shared if can_be_moved(str(each.variable.dtype)))
        elements = sum(asked.snapshot.value(each.variable).size for each in asked.weights)
        self._is_small = elements <= MOST_ELEMENTS
        self._is_randomised = self._is_small and bool(hide_something(asked.weights, asked.snapshot))
        self._no_float64 = asked.no_float64
        self._first_answered: tuple[Arrays, Arrays] | None = None
        found = that_runs(asked, samples, seed, of_task=of_task)
        self._not_judged = [] if self._is_small else [_NOT_RANDOMISED]
        self._not_judged += [] if found.unfit is None else [f"rows of the task's data: {found.unfit}"]
        self.signature, self._samples, self._refused = found.signature, found.samples, found.refused
        real_size = 1 if self._samples is None else self._samples.longest_axis(self.signature)
        self._work = asked.work(max(cases.usual_size(self.signature), real_size))
        self._longest = found.longest
        self._plan = self._planned()
        self._is_stopped = threading.Event()

    @property
    def first_inputs(self) -> Arrays:
        """The inputs of the first case, by name."""
        if self._refused is None:
            return drawn(self.signature, cases.RANDOM, self._plan.plan.batches[0], self._seed).feed
        assert self._samples is not None
        return real(self._samples, self._plan.plan)[0].feed

    def stop(self) -> None:
        """Have `to_disk`, in whichever thread it runs, end with `Stopped` soon."""
        self._is_stopped.set()
        self._asked.interrupt()

    def to_disk(self, folder: Path, apart: Path | None) -> Truth:
        """Ask everything, and write it down.

        Raises:
            BadInput: if the model runs on no rows, or the folder can't be written.
            Stopped: if another thread has stopped it.
        """
        # Where it runs on nothing that is drawn, the truth about real rows is all there is, and stays apart whole.
        is_withheld = self._refused is not None and apart is not None
        own, of_real = self._answered(apart is not None and not is_withheld)
        if apart is not None and of_real.settled:
            told = dict.fromkeys(
                (*cases.kinds(self.signature), *moved_kinds(self._plan.plan)), "drawn inputs have a truth of their own"
            )
            self._written(apart, of_real, told, ())
        notes = self._eager_notes(budgets(self._asked.model, self.signature, _judged(own.settled)))
        return self._written(apart if is_withheld and apart else folder, own, self._not_asked(own), notes)

    def _written(self, folder: Path, held: _Held, not_asked: dict[str, str], notes: tuple[str, ...]) -> Truth:
        judged = _judged(held.settled)
        held.archive.add_noise(held.settled, judged_by_feature(self.signature, judged))
        samples = folder / "samples.npz"
        with refusing_unwritable(folder):
            np.savez_compressed(samples, **held.archive.arrays)  # type: ignore[arg-type]
        values = {each.name: self._asked.snapshot.value(each.variable) for each in self._asked.weights}
        truth = Truth(
            signature=self.signature,
            cases=tuple(each.case for each in held.settled),
            budgets=budgets(self._asked.model, self.signature, judged),
            weights={name: weight_values.digest_of(value) for name, value in values.items()},
            shared=tuple(each.name for each in self._shared),
            generator=cases.GENERATOR_VERSION,
            no_float64=self._no_float64,
            notes=notes,
            plan=self._plan.plan,
            not_judged=tuple(self._not_judged),
            not_asked=not_asked,
            samples=digest(samples),
        )
        write_record(folder / "truth.json", truth)
        return truth

    def _not_asked(self, held: _Held) -> dict[str, str]:
        """The kinds that the signature asks for and of which no case is there, each with the reason that was told."""
        there = {each.case.kind for each in held.settled}
        missing = [kind for kind in cases.kinds(self.signature) if kind not in there]
        if self._refused is not None:
            return dict.fromkeys(missing, self._refused)
        starts = {kind: f"case {kind.replace(' ', '_')}" for kind in missing}
        return {
            kind: next((line for line in self._not_judged if line.startswith(start)), "it was not planned")
            for kind, start in starts.items()
        }

    # --- what is asked -------------------------------------------------------------------------------------------

    def _planned(self) -> plans.Asked:
        return plans.planned(
            self._effort,
            self._work,
            kinds=len(cases.kinds(self.signature)) - 1,
            shared=len(self._shared),
            base_cases=int(self._is_randomised),
            free_memory=free_memory(),
            static_batch=static_batch(self.signature),
            has_decisions=self._has_decisions,
            longest=self._longest,
            fixed=self._asked.fixed(),
        )

    @property
    def _has_decisions(self) -> bool:
        return any(not spec.dtype.startswith(("float", "bfloat")) for spec in self.signature.outputs)

    def _cost(self, question: Question, draws: int) -> float:
        long = self._longest if question.case.kind == cases.LONGEST else None
        work = self._work if long is None else long.work
        return work.case(question.case.batch, plans.with_decisions(draws, self._has_decisions))

    def _moved_cases(self, inputs: Question) -> list[Case]:
        """The cases with other weights: at random where the model's own hide something, and the rounds."""

        def answered(case: Case, in_float64: bool) -> Answers | None:
            self._goes_on(0, 1)
            draws = 0 if in_float64 and self._no_float64 is None else None
            try:
                return self._asked.answers(inputs.feed, limits_of(0.0), self._moves(case), draws=draws)
            except NoAnswer:
                return None

        names = tried(self._shared)
        offered = bases(inputs.case, self._seed, is_randomised=self._is_randomised)
        offered = offered if self._is_small else offered[:1]
        base, seen = most_visible(offered, names, moves_seed(self._seed), answered)
        if seen < 1:
            self._not_judged.append(
                "shared weights: moving the first, a middle or the last one changes no answer by more than a budget, "
                "so that a call site with a copy of its own may not show"
            )
        found = list(round_cases(base, inputs.case, self._shared, self._seed))
        return [base, *found] if base.random_seed is not None else found

    def _moves(self, case: Case) -> Moves:
        return moves(case, self._asked.weights, self._asked.snapshot)

    # --- asking --------------------------------------------------------------------------------------------------

    def _answered(self, is_apart: bool) -> tuple[_Held, _Held]:
        """Every case that was answered, in order, and those of real rows if they are kept apart.

        Those that reached a limit are told in `not_judged`.
        """
        plan = self._plan.plan
        drawn = ordinary(self.signature, plan, self._seed) if self._refused is None else []
        rows = [] if self._samples is None else real(self._samples, plan)
        plain = [each for each in drawn if each.case.kind == cases.RANDOM] or rows
        scale = max(
            (each for each in plain if each.case.batch <= _SCALE_BATCH),
            key=lambda each: each.case.batch,
            default=plain[0],
        )
        first = self._first(scale)
        inputs = next((each for each in plain if each.case.batch >= plan.round_batch), plain[0])
        moved = self._moved_cases(inputs)
        odd = reported(self.signature, plan, self._seed) if self._refused is None else []
        total = len(drawn) + len(rows) + len(moved) + len(odd)
        real_rows = sum(each.case.batch for each in rows)
        own_rows = sum(each.batch for each in (*(question.case for question in (*drawn, *odd)), *moved))
        own = _Held(Archive(own_rows + (0 if is_apart else real_rows)), [])
        of_real = _Held(Archive(real_rows), []) if is_apart else own
        for number, question in enumerate([*drawn, *rows]):
            self._goes_on(number, total)
            answers = first if question is scale else self._judged_answers(question, self._plan.draws)
            self._keep(own if number < len(drawn) else of_real, question, answers)
        self._ask_moved(own, moved, inputs, total - len(moved) - len(odd), total)
        for number, question in enumerate(odd, start=total - len(odd)):
            self._goes_on(number, total)
            self._keep(own, question, self._reported_answers(question))
        return own, of_real

    def _first(self, question: Question) -> Answers:
        """The answer that decides whether the model runs at all, and whether it does in float64."""
        self._goes_on(0, 1)
        cost = self._cost(question, self._plan.draws)
        draws = self._plan.draws if self._no_float64 is None else None
        try:
            answers = self._asked.answers(question.feed, limits_of(cost), draws=draws, at_scale=True)
        except NoAnswer as failed:
            if draws is None:
                raise refusal(self._asked.model, failed, beside=self._refused) from failed
            self._no_float64 = f"the model does not run in float64: {failed}"
            return self._first(question)
        wide = answers.float64 or answers.float32
        unlike = [name for name, value in answers.float32.items() if wide[name].shape != value.shape]
        if unlike:
            self._no_float64 = f"output {unlike[0]!r} has another shape in float64"
            return replace(answers, float64=None, noisy=(), decided=())
        return answers

    def _judged_answers(
        self, question: Question, draws: int, moved: Moves = NONE_MOVED, *, at_scale: bool = False
    ) -> Answers | None:
        """The answers to a case that is to be judged; None if there are none, which is told."""
        cost = self._cost(question, draws)
        asked = draws if self._no_float64 is None else None
        try:
            return self._asked.answers(question.feed, limits_of(cost), moved, draws=asked, at_scale=at_scale)
        except NoAnswer as failed:
            case = question.case
            self._not_judged.append(f"case {case.key} ({case.kind}, {case.batch} rows): Keras gave no answer: {failed}")
            return None

    def _reported_answers(self, question: Question) -> Answers | None:
        """Keras' float32 answers to what is reported and not judged, where it gives any."""
        try:
            return self._asked.answers(question.feed, limits_of_reported(self._work.case(question.case.batch, 0)))
        except NoAnswer as failed:
            self._not_judged.append(f"inputs {question.case.kind}: Keras gave no answer: {failed}")
            return None

    def _ask_moved(self, held: _Held, moved: list[Case], inputs: Question, done: int, total: int) -> None:
        """The cases with moved weights. A round that affords no noise of its own has that of what it changes."""
        noise = next((each for each in held.settled if each.case.key == inputs.case.key), None)
        if noise is None and moved:
            self._not_judged.append(
                f"moved weights: case {inputs.case.key}, whose inputs they are asked on, is not there"
            )
            return
        for number, case in enumerate(moved, start=done):
            self._goes_on(number, total)
            question = Question(case, inputs.feed)
            draws = self._plan.round_draws if case.weights else self._plan.draws
            answers = self._judged_answers(question, draws, self._moves(case), at_scale=not case.weights)
            kept = self._keep(held, question, answers, noise if case.weights and not draws else None)
            noise = noise if case.weights else kept

    def _goes_on(self, done: int, total: int) -> None:
        """Say how far it has come, before each question.

        Raises:
            Stopped: if it shall go no further.
        """
        if self._is_stopped.is_set():
            raise Stopped
        advance(done, total)

    def _keep(
        self, held: _Held, question: Question, answers: Answers | None, like: Settled | None = None
    ) -> Settled | None:
        """Add a case with its answers, large ones reduced, if there is room for them; with the noise of another's."""
        if answers is None:
            return None
        refuse_own_sizes(
            self.signature, question.feed, answers.float32, partial(told_sized_by_numbers, self._asked.model)
        )
        float64 = None if question.case.is_reported else answers.float64
        answered = Answered(question.case, answers.float32, float64, answers.noisy, answers.decided)
        self._first_answered = self._first_answered or (question.feed, answers.float32)
        settled = held.archive.add(answered, question.feed, self.signature)
        if settled is not None:
            held.settled.append(settled if like is None or float64 is None else settled.with_noise_of(like))
            return held.settled[-1]
        self._not_judged.append(f"case {question.case.key}: there is no room for its answers and inputs")
        return None

    def _eager_notes(self, found: tuple[Budget, ...]) -> tuple[str, ...]:
        """Where the eager call differs, on inputs that the compiled one has answered within its limits."""
        assert self._first_answered is not None
        with self._asked.snapshot.read():
            return eager_differences(self._asked.model, self.signature, self._first_answered, found)


def _judged(settled: list[Settled]) -> list[Settled]:
    return [each for each in settled if not each.case.is_reported]
