"""What a zoo model is, and what is expected of its export."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Builder = Callable[[], keras.Model]

ZOO: dict[str, Builder] = {}
# Layers that draw random numbers in training.
RANDOM: set[str] = set()
# Model -> why no `.keras` file can hold it with its sharing.
NOT_RELOADABLE: dict[str, str] = {}
# Model -> why no twin and no float64 clone can be made of it.
NOT_REBUILDABLE: dict[str, str] = {}
# Model -> words that the refusal must contain: it must be refused before anything is written.
REFUSED: dict[str, tuple[str, ...]] = {}
# Model -> words that a refusal must contain where there is one: a right export is as good.
EITHER: dict[str, tuple[str, ...]] = {}
# Model -> the layer that the warning about the loop must name: ONNX has no node for it.
FALLBACK: dict[str, str] = {}


def zoo_model(
    build: Builder | None = None,
    *,
    finish: Callable[[keras.Model], Any] | None = None,
    refused: tuple[str, ...] = (),
    either: tuple[str, ...] = (),
    fallback: str | None = None,
    random: bool = False,
    not_reloadable: str | None = None,
    not_rebuildable: str | None = None,
) -> Any:
    """Register a builder under its own name, and fill the weights of what it builds.

    Agreement with Keras is expected of every model; the keywords say what else, one registry each. `finish` is run on
    the filled model (to quantise it).
    """
    if build is None:
        return functools.partial(
            zoo_model,
            finish=finish,
            refused=refused,
            either=either,
            fallback=fallback,
            random=random,
            not_reloadable=not_reloadable,
            not_rebuildable=not_rebuildable,
        )
    name = build.__name__
    if name in ZOO:
        raise ValueError(f"two zoo models are called {name!r}")

    @functools.wraps(build)
    def filled() -> keras.Model:
        model = build()
        fill(model, zlib.crc32(name.encode()))
        if finish is not None:
            finish(model)
        return model

    ZOO[name] = filled
    expectations = (
        (REFUSED, refused),
        (EITHER, either),
        (FALLBACK, fallback),
        (NOT_RELOADABLE, not_reloadable),
        (NOT_REBUILDABLE, not_rebuildable),
    )
    for registry, expected in expectations:
        if expected:
            registry[name] = expected  # type: ignore[assignment]
    if random:
        RANDOM.add(name)
    return filled


def fill(model: keras.Model, seed: int) -> None:
    """Set every floating-point weight to seeded random values; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" not in str(weight.dtype):
            continue
        values = rng.normal(scale=0.4, size=weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)


def pair(shape: tuple[int | None, ...], dtype: str = "float32") -> list[keras.KerasTensor]:
    """Two inputs of one shape."""
    return [keras.Input(shape, dtype=dtype, name=name) for name in ("left", "right")]
