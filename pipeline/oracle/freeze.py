"""Freezing inputs with Keras' float32 and float64 answers to disk."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from pipeline import cases, weight_values
from pipeline.errors import BadInput
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.graph.weights import Weight, named_weights
from pipeline.oracle.archive import Archive
from pipeline.oracle.asking import Answers, Moves, NoAnswer, Oracle, opened
from pipeline.oracle.rounds import bases, can_be_moved, hide_something, moves, moves_seed, round_cases
from pipeline.oracle.snapshot import Snapshot
from pipeline.oracle.traced import Traced, input_key, output_key, traced
from pipeline.oracle.visibility import most_visible, tried
from pipeline.oracle.work import work_of
from pipeline.progress import advance, stage
from pipeline.records import Budget, Case, Effort, Signature, Truth
from pipeline.store import digest, refusing_unwritable, write_record
from pipeline.truth import plan as plans
from pipeline.truth.budgets import Answered, Settled, budgets, judged_by_feature
from pipeline.truth.eager import eager_differences
from pipeline.truth.float64 import MOST_ELEMENTS
from pipeline.truth.refusals import refuse_unexportable
from pipeline.truth.signature import read_signature
from pipeline.truth.trial import candidates, static_batch
from pipeline.workers.limits import Limits, free_memory

Arrays = Mapping[str, np.ndarray]

REPORTED_BATCH = 3  # of cases that are reported and not judged
SEED = 20250130
# How long an answer may take: so many seconds and so many times what the plan has counted. A busy machine, or a layer
# whose work no count tells, stays well below; a loop that never ends does not.
_LEAST_S, _TIMES = 120.0, 100.0
# Of a case that only is to be reported.
_LEAST_REPORTED_S = 20.0
# Answers of more elements than this are reduced (`subsets.py`); where the archive is full, those of more than that.
_WHOLE, _REDUCED = 2**15, 2**12


def freeze(
    model: keras.Model, folder: Path, real: Arrays | None = None, seed: int = SEED, effort: Effort = "standard"
) -> Truth:
    """Ask Keras what is right, and write `samples.npz` and, last, `truth.json` into `folder`.

    Args:
        model: a functional or sequential model; it is left as it is.
        folder: an existing folder to write to.
        real: real inputs by name, `(rows, ...)`, used beside the random ones where given.
        seed: of the random inputs.
        effort: how much is asked (`truth/plan.py`).

    Raises:
        BadInput: if the model has no graph to read, can't be exported faithfully (`refusals`), runs on no inputs, or
            the folder can't be written.
    """
    with Asked(model, effort) as asked:
        return asked.freeze(folder, real, seed)


class Asked:
    """A model that was traced once, and the process that answers for it, with the weights as they were then.

    Use it in a `with` block: the process ends with it.

    Attributes:
        signature: the model's, with the dtypes that its compiled function returns.
        snapshot: the weights that are asked.
    """

    def __init__(self, model: keras.Model, effort: Effort = "standard") -> None:
        self._ends = contextlib.ExitStack()
        with contextlib.ExitStack() as ends:
            self._oracle: Oracle = ends.enter_context(opened())
            self._oracle.start()
            self._folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="shared-layers-traced-")))
            self._model, self._effort = model, effort
            with stage("plan"):
                self.snapshot = Snapshot(model)  # before anything else: whoever trains it goes on
                refuse_unexportable(model)
                signature = read_signature(model)
                self._weights = named_weights(flatten_labelled(model), read(model))
            with stage("traces"):
                self._traced: Traced = traced(model, signature, self.snapshot)
                self.signature = self._traced.signature
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

    def freeze(self, folder: Path, real: Arrays | None = None, seed: int = SEED) -> Truth:
        """What `freeze` does, with the weights of the snapshot."""
        with stage("truth"):
            return _Freezing(self, real, seed).to_disk(folder)

    def answer(self, feed: Arrays) -> dict[str, np.ndarray]:
        """What the compiled function answers, by the names of inputs and outputs.

        Raises:
            NoAnswer: if the model raised an exception or reached a limit.
        """
        limits = Limits(_LEAST_S, free_memory())
        return self.named(self._oracle.answer(self.keyed(feed), limits, in_float64=False).float32)

    def keyed(self, feed: Arrays) -> dict[str, np.ndarray]:
        """Inputs under the keys that the traced functions have for them."""
        return {input_key(index): np.asarray(feed[spec.name]) for index, spec in enumerate(self.signature.inputs)}

    def named(self, answers: Arrays) -> dict[str, np.ndarray]:
        """Outputs under Keras' names."""
        return {spec.name: answers[output_key(index)] for index, spec in enumerate(self.signature.outputs)}


@dataclass(frozen=True)
class _Question:
    """A case with its inputs."""

    case: Case
    feed: Arrays


class _Freezing:
    """One asking of all that is planned; lives as long as it takes."""

    def __init__(self, asked: Asked, real: Arrays | None, seed: int) -> None:
        self._asked, self._real, self._seed = asked, real, seed
        self._oracle = asked._oracle
        self._snapshot = asked.snapshot
        self._weights: tuple[Weight, ...] = asked._weights
        self._shared = tuple(each for each in self._weights if each.is_shared and can_be_moved(each))
        elements = sum(self._snapshot.value(each.variable).size for each in self._weights)
        self._is_small = elements <= MOST_ELEMENTS
        self._is_randomised = self._is_small and bool(hide_something(self._weights, self._snapshot))
        self._no_float64 = asked._traced.no_float64
        self._not_judged: list[str] = []
        self._archive = Archive()
        self._settled: dict[str, Settled] = {}
        self._first_answered: tuple[Arrays, Arrays] | None = None
        self._signature = asked.signature

    def to_disk(self, folder: Path) -> Truth:
        """Ask everything, and write it down."""
        signature = self._signature_that_runs()
        plan = self._plan_of(signature)
        self._signature = signature
        kept = list(self._answered(signature, plan))
        judged = [each for each in kept if not each.case.is_reported]
        self._archive.add_noise(kept, judged_by_feature(signature, judged))
        samples = folder / "samples.npz"
        with refusing_unwritable(folder):
            np.savez_compressed(samples, **self._archive.arrays)  # type: ignore[arg-type]
        found = budgets(self._asked._model, signature, judged)
        truth = Truth(
            signature=signature,
            cases=tuple(each.case for each in kept),
            budgets=found,
            weights={each.name: weight_values.digest_of(self._snapshot.value(each.variable)) for each in self._weights},
            generator=cases.GENERATOR_VERSION,
            no_float64=self._no_float64,
            notes=self._eager_notes(found),
            plan=plan.plan,
            not_judged=tuple(self._not_judged),
            not_asked=self._not_asked(signature, {each.case.kind for each in kept}),
            samples=digest(samples),
        )
        write_record(folder / "truth.json", truth)
        return truth

    def _not_asked(self, signature: Signature, kinds: set[str]) -> dict[str, str]:
        """The kinds that the signature asks for and of which no case is there, each with the reason that was told."""
        reasons = [line for line in self._not_judged if line.startswith("case ")]
        missing = [kind for kind in cases.kinds(signature) if kind not in kinds]
        named = {kind: f"case {kind.replace(' ', '_')}" for kind in missing}
        return {
            kind: next((line for line in reasons if line.startswith(named[kind])), "it was not planned")
            for kind in missing
        }

    # --- what is asked -------------------------------------------------------------------------------------------

    def _signature_that_runs(self) -> Signature:
        """The signature with the narrowest promises under which the model runs on drawn inputs."""
        first: NoAnswer | None = None
        found = list(candidates(self._asked._model, self._asked.signature))
        for candidate in found:
            if len(found) == 1:
                return candidate
            try:
                for question in self._tries(candidate):
                    self._ask(question, self._limits(1.0), in_float64=False)
            except NoAnswer as error:
                first = first or error
            else:
                return candidate
        raise _refusal(first)

    def _tries(self, signature: Signature) -> Iterator[_Question]:
        """A few rows of every kind: what runs on these may be asked for more."""
        static = static_batch(signature)
        for batch in (1, 3) if static is None else (static,):
            yield _drawn(signature, cases.RANDOM, batch, self._seed)
        for kind in cases.kinds(signature)[1:]:
            yield _drawn(signature, kind, static or 3, self._seed)

    def _plan_of(self, signature: Signature) -> plans.Asked:
        free_axis = 5 * signature.shortest_axis // 2  # sizes are drawn from the shortest to four times that
        work = work_of(self._asked._traced.served, free_axis)
        self._work = work
        return plans.planned(
            self._asked._effort,
            work,
            kinds=len(cases.kinds(signature)) - 1,
            shared=len(self._shared),
            base_cases=int(self._is_randomised),
            free_memory=free_memory(),
            static_batch=static_batch(signature),
        )

    def _ordinary(self, signature: Signature, plan: plans.Asked) -> Iterator[_Question]:
        """Random inputs at each batch size and real ones beside them, then one case of each other kind."""
        for batch in plan.plan.batches:
            yield _drawn(signature, cases.RANDOM, batch, self._seed)
            if self._real is not None and len(next(iter(self._real.values()))) >= batch:
                rows = {spec.name: np.asarray(self._real[spec.name][:batch], spec.dtype) for spec in signature.inputs}
                yield _Question(Case(key=f"real{batch}", kind="real", batch=batch), rows)
        for kind in cases.kinds(signature)[1:]:
            yield _drawn(signature, kind, plan.plan.kind_batch, self._seed)

    # --- asking --------------------------------------------------------------------------------------------------

    def _answered(self, signature: Signature, plan: plans.Asked) -> Iterator[Settled]:
        """Every answer, in the order of the cases; those that reached a limit are told in `not_judged`."""
        ordinary = list(self._ordinary(signature, plan))
        # Noise is of the scales that results have for ordinary inputs: the largest random case of not too many rows.
        random = [each for each in ordinary if each.case.kind == cases.RANDOM]
        scale = max(
            (each for each in random if each.case.batch <= 17), key=lambda each: each.case.batch, default=random[0]
        )
        first = self._first(scale, plan)
        inputs = next((each for each in random if each.case.batch == plan.plan.round_batch), random[0])
        moved = self._moved_cases(inputs)
        reported = [
            _drawn(signature, kind, static_batch(signature) or min(REPORTED_BATCH, plan.plan.kind_batch), self._seed)
            for kind in cases.reported_kinds(signature)
        ]
        total = len(ordinary) + len(moved) + len(reported)
        for number, question in enumerate(ordinary):
            advance(number, total)
            answers = first if question is scale else self._judged(question, plan.draws)
            if answers is not None:
                yield from self._kept(question, answers)
        yield from self._of_moved(moved, inputs, plan, len(ordinary), total)
        for number, question in enumerate(reported, start=total - len(reported)):
            advance(number, total)
            yield from self._of_reported(question)

    def _moved_cases(self, inputs: _Question) -> list[Case]:
        """The cases with other weights: at random where the model's own hide something, and the rounds."""

        def ask(case: Case) -> Arrays | None:
            moved = moves(case, self._weights, self._snapshot)
            try:
                return self._ask(_Question(case, inputs.feed), self._limits(1.0), moved, in_float64=False).float32
            except NoAnswer:
                return None

        names = tried([each.name for each in self._shared])
        offered = bases(inputs.case, self._seed, is_randomised=self._is_randomised)
        base = most_visible(offered if self._is_small else offered[:1], names, moves_seed(self._seed), ask)
        found = list(round_cases(base, inputs.case, self._shared, self._seed))
        return [base, *found] if base.random_seed is not None else found

    def _first(self, question: _Question, plan: plans.Asked) -> Answers:
        """The answer that decides whether the model runs at all, and whether it does in float64."""
        limits = self._limits(self._work.case(question.case.batch, plan.draws))
        has_float64 = self._no_float64 is None
        try:
            answers = self._ask(question, limits, in_float64=has_float64, draws=plan.draws, at_scale=True)
        except NoAnswer as failed:
            if not has_float64:
                raise _refusal(failed) from failed
            self._no_float64 = f"the model does not run in float64: {failed}"
            return self._first(question, plan)
        unlike = [
            name for name, value in answers.float32.items() if _shape(answers.float64, name, value) != value.shape
        ]
        if unlike:
            names = self._asked.named({key: np.array(key) for key in answers.float32})
            told = next(name for name, key in names.items() if key == unlike[0])
            self._no_float64 = f"output {told!r} has another shape in float64"
            return replace(answers, float64=None, noisy=())
        return answers

    def _judged(self, question: _Question, draws: int, moved: Moves = (), *, at_scale: bool = False) -> Answers | None:
        """The answers to a case that is to be judged; None if there are none, which is told."""
        limits = self._limits(self._work.case(question.case.batch, draws))
        try:
            has_float64 = self._no_float64 is None
            return self._ask(question, limits, moved, in_float64=has_float64, draws=draws, at_scale=at_scale)
        except NoAnswer as failed:
            case = question.case
            self._not_judged.append(f"case {case.key} ({case.kind}, {case.batch} rows): Keras gave no answer: {failed}")
            return None

    def _of_moved(
        self, moved: list[Case], inputs: _Question, plan: plans.Asked, done: int, total: int
    ) -> Iterator[Settled]:
        """The cases with moved weights. A round that affords no noise of its own has that of what it changes."""
        noise = self._settled.get(inputs.case.key)
        for number, case in enumerate(moved, start=done):
            advance(number, total)
            question = _Question(case, inputs.feed)
            draws = plan.round_draws if case.weights else plan.draws
            moved_weights = moves(case, self._weights, self._snapshot)
            answers = self._judged(question, draws, moved_weights, at_scale=not case.weights)
            if answers is None:
                continue
            like = noise if case.weights and not draws else None
            yield from self._kept(question, answers, like)
            noise = noise if case.weights else self._settled.get(case.key)

    def _of_reported(self, question: _Question) -> Iterator[Settled]:
        """Keras' float32 answers to what is reported and not judged, where it gives any."""
        limits = Limits(_LEAST_REPORTED_S + _TIMES * self._work.case(question.case.batch, 0), free_memory())
        try:
            answers = self._ask(question, limits, in_float64=False)
        except NoAnswer as failed:
            self._not_judged.append(f"inputs {question.case.kind}: Keras gave no answer: {failed}")
            return
        yield from self._kept(question, answers)

    def _ask(
        self,
        question: _Question,
        limits: Limits,
        moved: Moves = (),
        *,
        in_float64: bool,
        draws: int = 0,
        at_scale: bool = False,
    ) -> Answers:
        feed = self._asked.keyed(question.feed)
        return self._oracle.answer(
            feed, limits, moved, in_float64=in_float64, draws=draws if in_float64 else 0, at_scale=at_scale
        )

    def _kept(self, question: _Question, answers: Answers, like: Settled | None = None) -> Iterator[Settled]:
        """The case with its answers, large ones reduced, if there is room for them; with the noise of another's."""
        named = self._asked.named
        float64 = None if answers.float64 is None or question.case.is_reported else named(answers.float64)
        noisy, decided = (tuple(named(each) for each in drawn) for drawn in (answers.noisy, answers.decided))
        answered = Answered(question.case, named(answers.float32), float64, noisy, decided)
        if self._first_answered is None:
            self._first_answered = (question.feed, answered.float32)
        for beyond in (_WHOLE, _REDUCED):
            settled = answered.settled(self._signature, beyond)
            settled = settled if like is None else settled.with_noise_of(like)
            stored = self._archive.add(settled, question.feed)
            if stored is not None:
                self._settled[stored.key] = kept = replace(settled, case=stored)
                yield kept
                return
        self._not_judged.append(f"case {question.case.key}: there is no room for its answers and inputs")

    def _limits(self, cost: float) -> Limits:
        return Limits(_LEAST_S + _TIMES * cost, free_memory())

    def _eager_notes(self, found: tuple[Budget, ...]) -> tuple[str, ...]:
        """Where the eager call differs, on inputs that the compiled one has answered within its limits."""
        assert self._first_answered is not None
        with self._snapshot.read():
            return eager_differences(self._asked._model, self._signature, self._first_answered, found)


def _shape(float64: Arrays | None, name: str, value: np.ndarray) -> tuple[int, ...]:
    return value.shape if float64 is None else float64[name].shape


def _refusal(failed: NoAnswer | None) -> BadInput:
    return BadInput(
        f"the model does not run on inputs drawn from its signature: {failed}; give samples that it runs on "
        "(--samples FILE.npz, ExportOptions(samples=...)) or static shapes to its inputs, or check that it runs at all"
    )


def _drawn(signature: Signature, kind: str, batch: int, seed: int) -> _Question:
    key = f"{kind.replace(' ', '_')}{'' if kind == cases.RANDOM else '_'}{batch}"
    return _Question(Case(key=key, kind=kind, batch=batch, seed=seed), cases.generate(signature, batch, seed, kind))
