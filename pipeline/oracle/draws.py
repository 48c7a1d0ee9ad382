"""The answers of a float64 model with noise inside (`truth/noise.py`), wherever it runs. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.truth.plan import DECISION_UNITS, DECISIONS_A_DRAW, DRAWS, FIRST_DECISION

Arrays = Mapping[str, np.ndarray]
# From inputs by name, the size of a move at each call site, 1 where every element is off by a unit of its own at least
# or 0 for the exact answer, and which draw: the outputs by name, and the scale that each call site's result had.
RunNoisy = Callable[[Arrays, np.ndarray, float, int], tuple[dict[str, np.ndarray], np.ndarray]]


class Draws:
    """A float64 model whose call sites' results can be off by a unit, up or down by a seeded draw.

    Args:
        run: the model.
        units: the unit of each result, or feature of one, relative to its scale.
    """

    def __init__(self, run: RunNoisy, units: np.ndarray) -> None:
        self._run = run
        self._unit = units
        self._none = np.zeros(len(units))
        self._moves = self._none

    def measure(self, ordinary: Arrays) -> None:
        """Take each result's ordinary scale at these inputs, with the weights as they are now."""
        scales = self._run(ordinary, self._none, 0.0, 0)[1]
        self._moves = self._unit * np.where(np.isfinite(scales), scales, 0.0)

    def exact(self, feed: Arrays) -> dict[str, np.ndarray]:
        """The outputs without noise."""
        return self._run(feed, self._none, 0.0, 0)[0]

    def answers(self, feed: Arrays, draws: int = DRAWS) -> tuple[dict[str, np.ndarray], ...]:
        """The outputs with noise inside, of several draws."""
        return tuple(self._run(feed, self._moves, 1.0, draw)[0] for draw in range(draws))

    def decisions(self, feed: Arrays, draws: int = DRAWS) -> tuple[dict[str, np.ndarray], ...]:
        """The outputs with noise of any size up to some units: what differs between these is not decided."""
        numbers = range(FIRST_DECISION, FIRST_DECISION + DECISIONS_A_DRAW * draws)
        return tuple(self._run(feed, DECISION_UNITS * self._moves, DECISION_UNITS, number)[0] for number in numbers)
