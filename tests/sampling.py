"""What `make test` takes of a long list of parameters, and what .ci/run does."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], one_in: int, one_in_ci: int = 1) -> list[Any]:
    """All values as parameters of a test, all but a seeded sample of them marked `matrix`.

    Args:
        values: in an order that is always the same.
        one_in: one of so many is in the sample.
        one_in_ci: one of so many of the others is for .ci/run; the rest is marked `prove`.
    """
    every = list(values)
    chosen = set(random.Random(17).sample(range(len(every)), max(len(every) // one_in, 1)))
    others = [number for number in range(len(every)) if number not in chosen]
    in_ci = set(random.Random(18).sample(others, len(others) // one_in_ci))

    def parameter(number: int) -> Any:
        if number in chosen:
            return every[number]
        return pytest.param(every[number], marks=pytest.mark.matrix if number in in_ci else pytest.mark.prove)

    return [parameter(number) for number in range(len(every))]
