"""The process that answers for Keras: it runs the functions of a traced model (`traced.py`), and assigns weights there.

    python -P -m pipeline.oracle.process

It takes questions from `asking.py`, line by line. It knows no Keras, and nothing of the model but its functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import told
from pipeline.oracle.buffers import assign
from pipeline.oracle.draws import Draws
from pipeline.quiet import load_tensorflow_alone
from pipeline.weight_map.perturb import moved, scaled
from pipeline.workers.conversation import answer_all


class _Answering:
    """The functions that were loaded, and the weights as they are meant to be."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._tf = tf
        loaded = tf.saved_model.load(str(folder))
        self._loaded = loaded  # the functions live as long as it does
        self._copies = list(loaded.copies)
        self._base: list[Any] = []
        self._moved = _Moved(self._copies, self._base)
        self._served = loaded.signatures["served"]
        noisy = loaded.signatures.get("noisy", None)
        self._draws = None if noisy is None else Draws(lambda *asked: self._noisy(noisy, *asked), _units(folder))

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one case, and write what came out to a file.

        `base` and `moves` list weights by number, each with the seed by which it is moved and the factor that it has
        afterwards. Those of `base` are moved first, and stay so until another is asked for.
        """
        feed = _read(Path(asked["inputs"]))
        if asked["base"] != self._base:
            self._moved.close()
            self._moved, self._base = _Moved(self._copies, asked["base"]), asked["base"]
        with contextlib.closing(_Moved(self._copies, asked["moves"])):
            groups = {"f32": self._serve(feed)}
            if self._draws is not None and asked["float64"]:
                groups |= self._wide(self._draws, _widened(feed), asked)
        _write(Path(asked["out"]), groups)
        return {}

    def _wide(self, draws: Draws, feed: Mapping[str, np.ndarray], asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["measure"]:
            draws.measure(feed)
        exact, noisy = draws.exact(feed), draws.answers(feed, asked["draws"])
        groups = {"f64": exact, **{f"noisy{number}": each for number, each in enumerate(noisy)}}
        if any(not np.issubdtype(value.dtype, np.floating) for value in exact.values()):
            decisions = draws.decisions(feed, asked["draws"])
            groups |= {f"decided{number}": each for number, each in enumerate(decisions)}
        return groups

    def _serve(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        answers = self._served(**{name: self._tf.convert_to_tensor(value) for name, value in feed.items()})
        return {name: np.asarray(value) for name, value in answers.items()}

    def _noisy(
        self, function: Any, feed: Mapping[str, np.ndarray], sizes: np.ndarray, share: float, draw: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        tf = self._tf
        tensors = {name: tf.convert_to_tensor(value) for name, value in feed.items()}
        # TensorFlow's optimiser takes seven seconds to look through the noise of a MobileNetV2 pair, and gains nothing.
        # What is optimised for users is the other function.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        how = {"sizes": tf.constant(sizes), "share": tf.constant(share, tf.float64), "draw": tf.constant(draw)}
        try:
            answers = {name: np.asarray(value) for name, value in function(**tensors, **how).items()}
        finally:
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        scales = answers.pop("scales")
        return answers, scales


class _Moved:
    """Weights that are moved from here on, until this is closed."""

    def __init__(self, copies: list[Any], moves: list[tuple[int, int, float]]) -> None:
        self._copies = copies
        self._before: dict[int, Any] = {}
        for number, seed, gain in moves:
            self._before[number] = copies[number].read_value()
            assign(copies[number], partial(_changed, seed, gain))

    def close(self) -> None:
        """Give them the values that they had."""
        for number, value in self._before.items():
            self._copies[number].assign(value)
        self._before.clear()


def _changed(seed: int, gain: float, own: np.ndarray) -> np.ndarray:
    return scaled(moved(own, seed), gain)


def _units(folder: Path) -> np.ndarray:
    units: np.ndarray = np.load(folder / "units.npy")
    return units


def _widened(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Floating-point numbers in float64."""
    is_narrow = {name: value.dtype.name in ("float16", "bfloat16", "float32") for name, value in feed.items()}
    return {name: value.astype(np.float64) if is_narrow[name] else value for name, value in feed.items()}


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _write(path: Path, groups: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    arrays = {f"{group}/{name}": value for group, answers in groups.items() for name, value in answers.items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]


class _Process:
    """What is loaded, from one question to the next."""

    def __init__(self) -> None:
        self._answering: _Answering | None = None

    def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question; what the model's own code raises is one, too."""
        try:
            if question["do"] == "load":
                self._answering = None
                self._answering = _Answering(Path(question["folder"]))
                return {}
            assert self._answering is not None
            return self._answering.answer(question)
        except Exception as error:  # noqa: BLE001 - whatever a model's own code raises is told to who asked
            return {"error": told(error)}


if __name__ == "__main__":
    load_tensorflow_alone()
    answer_all(_Process())
