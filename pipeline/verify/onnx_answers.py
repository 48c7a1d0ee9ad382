"""An ONNX file that answers from a process of its own, as often as it is asked.

    python -P -m pipeline.verify.onnx_answers

onnxruntime can abort its process, and an input of the user's can make a model run for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from pipeline.errors import CheckFailed, one_line
from pipeline.folders import temporary_folder
from pipeline.store import refusing_unwritable
from pipeline.workers.conversation import Conversation, Died, answer_all
from pipeline.workers.limits import LimitReached, Limits, free_memory

Predict = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

_LEAST_S = 600.0  # of one question: the first loads the file


@contextlib.contextmanager
def answering(model: Path, limit_s: float = _LEAST_S) -> Iterator[Predict]:
    """Within this block a function that answers as the file does, by Keras' names.

    A question may take `limit_s` seconds, if that is more than it takes to load a large file.
    What it raises where the file gives no answer is a `CheckFailed`.
    """
    with temporary_folder("answers") as folder:
        conversation = Conversation(__name__, folder / "log.txt", folder)

        def predict(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            inputs, out = folder / "inputs.npz", folder / "answers.npz"
            with refusing_unwritable(folder):
                _write(inputs, feed)
            question = {"model": str(model), "inputs": str(inputs), "out": str(out)}
            try:
                answer = conversation.ask(question, Limits(max(_LEAST_S, limit_s), free_memory()))
            except (LimitReached, Died) as end:
                raise CheckFailed(f"{model.name} gave no answer to the task's data: {end}") from end
            if "error" in answer:
                raise CheckFailed(f"{model.name} does not run on the task's data: {answer['error']}")
            return _read(out)

        try:
            yield predict
        finally:
            conversation.close()


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Any name may be that of a tensor: they go into an array of their own."""
    named = {str(number): array for number, array in enumerate(arrays.values())}
    np.savez(path, names=np.array(list(arrays), dtype=np.str_), **named)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[str(number)] for number, name in enumerate(archive["names"].tolist())}


class _Answering:
    """The session that was loaded last."""

    def __init__(self) -> None:
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            path = question["model"]
            if path not in self._sessions:
                self._sessions = {path: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])}
            session = self._sessions[path]
            names = [value.name for value in session.get_outputs()]
            wanted = {value.name for value in session.get_inputs()}
            feed = {name: value for name, value in _read(Path(question["inputs"])).items() if name in wanted}
            _write(Path(question["out"]), dict(zip(names, session.run(names, feed), strict=True)))
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no base of their own
            return {"error": one_line(error)}
        return {}


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(3)
    answer_all(_Answering())
