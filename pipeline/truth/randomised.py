"""Judging a fresh model with weights that hide nothing.

A bias of zeros, a scale of ones: a converter may lose them, or permute what they hold, and no answer tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from pipeline import weight_values
from pipeline.graph.weights import assigned


def constant_weights(model: keras.Model) -> tuple[str, ...]:
    """The paths of the weights, biases and statistics that hold one number throughout, as a fresh layer's do.

    A lone number counts if it is 0 or 1.
    """
    return tuple(str(variable.path) for variable in _floats(model) if _is_constant(np.asarray(variable)))


@contextlib.contextmanager
def randomised(model: keras.Model, seed: int) -> Iterator[None]:
    """Within this block every floating-point weight of `model` has other values, drawn from `seed`.

    Each element lies within a tenth of its own (of 0 within a tenth of 1): what has to be positive, such as a variance,
    stays so. Afterwards the model has its own weights again.
    """
    others = (
        (variable, weight_values.perturbed(np.asarray(variable), seed + number))
        for number, variable in enumerate(_floats(model))
    )
    with assigned(others):
        yield


def _floats(model: keras.Model) -> list[Any]:
    found = {id(variable): variable for variable in model.weights}
    return [variable for variable in found.values() if "float" in str(variable.dtype)]


def _is_constant(value: np.ndarray) -> bool:
    if value.size < 2:
        return value.size == 1 and value.item() in (0, 1)
    return bool((value == value.flat[0]).all())
