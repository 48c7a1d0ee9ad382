"""What `samples.npz` will hold: inputs and answers by name, no larger than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline import cases
from pipeline.records import Signature
from pipeline.subsets import LEVELS
from pipeline.truth.budgets import Answered, Settled

Arrays = Mapping[str, np.ndarray]

MOST_BYTES = 16 * 2**20
# Inputs that can be drawn again are kept up to so many bytes a case: the room is for answers.
_MOST_INPUTS = MOST_BYTES // 64


@dataclass
class Archive:
    """The arrays of cases, added one after another.

    Args:
        rows: that all cases together will have: each case is given its part of the room by its own.
    """

    rows: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _size: int = 0

    def add(self, answered: Answered, feed: Arrays, signature: Signature) -> Settled | None:
        """What is kept of a case: with its inputs, or without those that can be drawn again; None if it is too large.

        Of large answers as much is kept as leaves the cases to come their part. The first case is always there, so that
        something is.
        """
        case = answered.case
        room = MOST_BYTES - self._size
        part = room * case.batch // max(self.rows, case.batch)
        self.rows -= case.batch
        inputs = {} if case.inputs_of is not None else {f"{case.key}/in/{name}": value for name, value in feed.items()}
        if case.seed is None:  # real rows can't be drawn again: they may take what others leave
            part = max(part, room // 2)
        elif self.arrays and _bytes(inputs) > min(_MOST_INPUTS, part // 2):
            inputs = {}
            answered = replace(answered, case=case.model_copy(update={"inputs_sha256": cases.sha256_of(feed)}))
        part -= _bytes(inputs)
        level = next((each for each in LEVELS if answered.kept_bytes(each) <= part), LEVELS[-1])
        if self.arrays and answered.kept_bytes(level) + _bytes(inputs) > room:
            return None
        settled = answered.settled(signature, level)
        self._take(inputs | settled.arrays(()))
        return settled

    def add_noise(self, settled: Iterable[Settled], by_feature: tuple[str, ...]) -> None:
        """Add what budgets of features follow from beside the answers: it is small, and no case is judged without."""
        for each in settled:
            self._take({key: value for key, value in each.arrays(by_feature).items() if key not in self.arrays})

    def _take(self, arrays: Arrays) -> None:
        self.arrays |= arrays
        self._size += _bytes(arrays)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
