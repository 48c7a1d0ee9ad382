"""What `samples.npz` will hold: inputs and answers by name, no larger than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline import cases
from pipeline.records import Case
from pipeline.truth.budgets import Settled

Arrays = Mapping[str, np.ndarray]

MOST_BYTES = 16 * 2**20
# Inputs that can be drawn again are kept up to so many bytes a case: the room is for answers.
_MOST_INPUTS = MOST_BYTES // 64


@dataclass
class Archive:
    """The arrays of cases, added one after another."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _size: int = 0

    def add(self, settled: Settled, feed: Arrays) -> Case | None:
        """The case as it was added: with its inputs, or without those that can be drawn again; None if it is too large.

        The first case is always there, so that something is.
        """
        case, answers = settled.case, settled.arrays(())
        inputs = {} if case.inputs_of is not None else {f"{case.key}/in/{name}": value for name, value in feed.items()}
        room = MOST_BYTES - self._size
        is_small = case.seed is None or _bytes(inputs) <= _MOST_INPUTS
        if not self.arrays or (is_small and _bytes(inputs) + _bytes(answers) <= room):
            self._take(inputs | answers)
            return case
        if case.seed is None or _bytes(answers) > room:
            return None
        self._take(answers)
        return case.model_copy(update={"inputs_sha256": cases.sha256_of(feed)})

    def add_noise(self, settled: Iterable[Settled], by_feature: tuple[str, ...]) -> None:
        """Add what budgets of features follow from beside the answers: it is small, and no case is judged without."""
        for each in settled:
            self._take({key: value for key, value in each.arrays(by_feature).items() if key not in self.arrays})

    def _take(self, arrays: Arrays) -> None:
        self.arrays |= arrays
        self._size += _bytes(arrays)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
