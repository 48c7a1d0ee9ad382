"""What `make test` takes of a long list of parameters; .ci/run takes all of them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], one_in: int) -> list[Any]:
    """All values as parameters of a test, all but a seeded sample of them marked `matrix`.

    Args:
        values: in an order that is always the same.
        one_in: one of so many is in the sample.
    """
    every = list(values)
    chosen = set(random.Random(17).sample(range(len(every)), max(len(every) // one_in, 1)))
    return [
        value if number in chosen else pytest.param(value, marks=pytest.mark.matrix)
        for number, value in enumerate(every)
    ]
