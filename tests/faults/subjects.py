"""The models that faults are put into and that must raise no alarm: built-in ones, the zoo's, and real ones."""

from __future__ import annotations

import math

import keras
import numpy as np

import pipeline
from benchmarks.real import catalogue
from tests.zoo import ZOO, fill
from tests.zoo.subject import fresh_model

BUILT_IN = ("two_branch", "siamese", "seq2seq")


def built(name: str) -> keras.Model:
    """The model of a name, as a new process would build it; a built-in one untrained.

    Raises:
        BadInput: if none of them is called that, or a real one can't be built here.
    """
    if name in ZOO:
        return fresh_model(name)
    keras.utils.clear_session(free_memory=False)
    return pipeline.build(name) if name in BUILT_IN else catalogue.build(catalogue.named(name))


def filled(model: keras.Model, name: str, seed: int) -> None:
    """Give a model weights of a seed.

    Those of a real model keep the scale of what they read, as trained ones do: fifty layers of kernels of one scale
    would end in zeros or infinities.
    """
    if name in ZOO:
        fill(model, seed)
        return
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" not in str(weight.dtype):
            continue
        shape = tuple(weight.shape)
        values = rng.normal(size=shape)
        if len(shape) > 1:
            weight.assign(values * math.sqrt(2 / math.prod(shape[:-1])))
        elif "variance" in weight.path or "gamma" in weight.path or weight.path.endswith("scale"):
            weight.assign(1 + 0.2 * np.abs(values))
        else:
            weight.assign(0.1 * values)
