"""The process that answers for Keras, as who asks it has it: started once, limited, started again when it dies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.folders import temporary_folder
from pipeline.store import refusing_unwritable
from pipeline.truth.plan import DRAWS
from pipeline.workers.conversation import Conversation, Died
from pipeline.workers.limits import LimitReached, Limits, free_memory
from pipeline.workers.run import ON_THE_CPU

Arrays = Mapping[str, np.ndarray]
# A weight by the number of its copy, the seed by which it is moved, and the factor that it has afterwards.
Move = tuple[int, int, float]

_START_S = 300.0  # to load TensorFlow and a model, on a busy machine too


@dataclass(frozen=True)
class Moves:
    """Weights that have other values in a case.

    Attributes:
        base: moved first, and left so until a case has another base: weights at random.
        others: moved from there, for one case.
    """

    base: tuple[Move, ...] = ()
    others: tuple[Move, ...] = ()


NONE_MOVED = Moves()


class NoAnswer(Exception):
    """The model gave no answer; the message says what it said, or which limit it reached."""


class NoAnswerInTime(NoAnswer):
    """The model reached a limit of time or memory."""


@dataclass(frozen=True)
class Answers:
    """What a model gave for one case, by the keys of its outputs; `float64` is None where it has no float64 form.

    `decided` are the answers under the noise that shows what is not decided, where some outputs are no floats.
    """

    float32: dict[str, np.ndarray]
    float64: dict[str, np.ndarray] | None
    noisy: tuple[dict[str, np.ndarray], ...]
    decided: tuple[dict[str, np.ndarray], ...] = ()


class Oracle:
    """A process that answers for one model after another.

    Args:
        folder: for what passes between the two.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._conversation: Conversation | None = None
        self._loaded: Path | None = None
        self._wanted: Path | None = None
        self._at_scale: dict[str, Any] | None = None  # asked again of a process that was started again

    def start(self) -> None:
        """Start the process, if none runs: it loads TensorFlow while its model is still being traced."""
        self._start()

    def _start(self) -> Conversation:
        if self._conversation is None or not self._conversation.is_alive:
            self.close()
            self._loaded = None
            log = self._folder / "oracle.log"
            self._conversation = Conversation("pipeline.oracle.process", log, self._folder, ON_THE_CPU)
        return self._conversation

    def load(self, model: Path) -> None:
        """Answer for the model whose functions lie in a folder from here on; it is loaded with the first question."""
        self._wanted, self._loaded, self._at_scale = model, None, None

    def answer(
        self,
        feed: Arrays,
        limits: Limits,
        moves: Moves = NONE_MOVED,
        *,
        in_float64: bool = True,
        draws: int = DRAWS,
        at_scale: bool = False,
    ) -> Answers:
        """What the model answers.

        Args:
            feed: the inputs, by their keys.
            limits: of this answer; the memory is that of the whole process.
            moves: weights that are moved meanwhile.
            in_float64: whether the float64 form is asked too.
            draws: of noise.
            at_scale: whether noise is from now on of the scales that results have here.

        Raises:
            NoAnswer: if the model raised an exception, or reached a limit.
        """
        inputs = self._folder / ("scale.npz" if at_scale else "inputs.npz")
        out = self._folder / "answers.npz"
        with refusing_unwritable(self._folder):
            np.savez(inputs, **feed)  # type: ignore[arg-type]
        question = {
            "do": "answer",
            "inputs": str(inputs),
            "out": str(out),
            "base": list(moves.base),
            "moves": list(moves.others),
            "float64": in_float64,
            "draws": draws,
            "measure": at_scale,
        }
        self._at_scale = None if at_scale else self._at_scale
        self._ask(question, limits)
        self._at_scale = question if at_scale else self._at_scale
        return _answers(out)

    def _ask(self, question: dict[str, Any], limits: Limits) -> None:
        conversation = self._start()
        try:
            if self._loaded != self._wanted:
                load = {"do": "load", "folder": str(self._wanted)}
                self._told(conversation.ask(load, Limits(_START_S, free_memory())))
                self._loaded = self._wanted
                if self._at_scale is not None:  # the scales of noise went with the process that had measured them
                    self._told(conversation.ask(self._at_scale, Limits(_START_S, free_memory())))
            self._told(conversation.ask(question, limits))
        except (LimitReached, Died) as end:
            self.close()
            raise (NoAnswerInTime if isinstance(end, LimitReached) else NoAnswer)(str(end)) from end

    def _told(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            raise NoAnswer(answer["error"])

    def interrupt(self) -> None:
        """End the process under whoever waits for its answer, which is that there is none."""
        if self._conversation is not None:
            self._conversation.interrupt()

    def close(self) -> None:
        """End the process."""
        if self._conversation is not None:
            self._conversation.close()
        self._conversation = None


def _answers(path: Path) -> Answers:
    groups: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            group, _, key = name.partition("/")
            groups.setdefault(group, {})[key] = archive[name]
    noisy, decided = (
        tuple(answers for group, answers in groups.items() if group.startswith(prefix))
        for prefix in ("noisy", "decided")
    )
    return Answers(groups["f32"], groups.get("f64"), noisy, decided)


_kept: list[Oracle] = []


@contextlib.contextmanager
def opened() -> Iterator[Oracle]:
    """A process that answers; it is ended with the block, unless an outer block keeps one."""
    if _kept:
        yield _kept[-1]
        return
    with temporary_folder("oracle") as folder:
        oracle = Oracle(folder)
        try:
            yield oracle
        finally:
            oracle.close()


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within this block one process answers for every model: TensorFlow is loaded once."""
    with opened() as oracle:
        _kept.append(oracle)
        try:
            yield
        finally:
            _kept.remove(oracle)


@contextlib.contextmanager
def begun() -> Iterator[None]:
    """Within this block there is a process that answers already: it loads TensorFlow while its caller does."""
    with kept():
        _kept[-1].start()
        yield
