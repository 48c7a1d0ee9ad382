"""An example: something that Keras offers and arrays to call it on; and the model that calls it twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

Function = Callable[..., Any]


@dataclass(frozen=True)
class Draw:
    """An input: its shape with the batch first, its dtype, and the numbers that it may hold.

    Attributes:
        range: floats are uniform in it, integers too (its end left out). None: floats are standard normal.
        spread: makes of drawn numbers what a function asks for: rising ones, a matrix that has an inverse.
        is_static: the batch is fixed as well.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None
    spread: Callable[[np.ndarray], np.ndarray] | None = None
    is_static: bool = False

    def array(self, rng: np.random.Generator) -> np.ndarray:
        """Numbers drawn."""
        if self.dtype == "string":
            return rng.choice(["a", "b", "c"], self.shape)
        if self.dtype == "bool":
            return rng.integers(0, 2, self.shape).astype(bool)
        if "int" in self.dtype:
            low, high = self.range or (-9, 10)
            values = rng.integers(int(low), int(high), self.shape).astype(self.dtype)
        elif self.range is None:
            values = rng.standard_normal(self.shape).astype(self.dtype)
        else:
            values = rng.uniform(*self.range, self.shape).astype(self.dtype)
        return values if self.spread is None else self.spread(values).astype(self.dtype)

    def input(self, name: str) -> Any:
        """Keras' input for it."""
        shape = self.shape if self.is_static or not self.shape else (None, *self.shape[1:])
        return keras.Input(batch_shape=shape, dtype=self.dtype, name=name)


@dataclass(frozen=True)
class Example:
    """What is called twice, on which inputs.

    Attributes:
        name: `ops.where`, `layers.Dense/2`.
        make: gives what is called: a function, or a new layer.
        draws: the inputs of one call.
    """

    name: str
    make: Callable[[], Function]
    draws: tuple[Draw, ...]

    def model(self) -> keras.Model:
        """Two calls on inputs of their own, their results joined along the first axis."""
        keras.utils.clear_session(free_memory=False)
        function = self.make()
        first, second = ([draw.input(f"{side}_{i}") for i, draw in enumerate(self.draws)] for side in ("left", "right"))
        results = [tree.flatten(function(*inputs)) for inputs in (first, second)]
        outputs = [_joined(*pair) for pair in zip(*results, strict=True) if pair[0] is not None]
        return keras.Model([*first, *second], outputs)

    def arrays(self, seed: int) -> list[np.ndarray]:
        """An array for each input of the model, in its order, drawn by `seed`."""
        rng = np.random.default_rng(seed)
        return [draw.array(rng) for draw in (*self.draws, *self.draws)]


def _joined(left: Any, right: Any) -> Any:
    if keras.backend.standardize_dtype(left.dtype).startswith("complex"):
        left, right = (ops.view_as_real(each) for each in (left, right))
    return ops.concatenate([left, right], axis=0) if len(left.shape) else ops.stack([left, right])


# --- inputs and calls, in few words -------------------------------------------------------------------------------


def floats(*shape: int, low: float | None = None, high: float = 1.0, dtype: str = "float32") -> Draw:
    """Standard normal numbers, or numbers between `low` and `high`."""
    return Draw(shape, dtype, None if low is None else (low, high))


def integers(below: int, *shape: int, least: int = 0, dtype: str = "int32") -> Draw:
    """Integers from `least` to below `below`."""
    return Draw(shape, dtype, (least, below))


def booleans(*shape: int) -> Draw:
    """True and False."""
    return Draw(shape, "bool")


def rising(*shape: int) -> Draw:
    """Floats in order along the last axis."""
    return Draw(shape, spread=lambda values: np.sort(values, axis=-1))


def gaps(*shape: int) -> Draw:
    """Floats with a NaN in about one place of four, never in the first of a row."""
    return Draw(shape, spread=_with_gaps)


def definite(*shape: int) -> Draw:
    """Symmetric positive definite matrices."""
    return Draw(shape, spread=lambda half: half @ np.swapaxes(half, -1, -2) + 2 * np.eye(shape[-1], dtype=half.dtype))


def static(draw: Draw) -> Draw:
    """The same with a batch of fixed size."""
    return Draw(draw.shape, draw.dtype, draw.range, draw.spread, is_static=True)


def _with_gaps(values: np.ndarray) -> np.ndarray:
    is_gap = values > 0.7
    is_gap[..., 0] = False
    return np.where(is_gap, np.nan, values)


Call = tuple[Callable[[Function], Function], Sequence[Draw]]


def on(*draws: Draw, **arguments: Any) -> Call:
    """The function on tensors, with other arguments by name."""
    return lambda function: lambda *tensors: function(*tensors, **arguments), draws


def by(call: Function, *draws: Draw) -> Call:
    """A function of tensors that calls what is tried in its own way."""
    return lambda function: call, draws


Made = tuple[Callable[[], Function], Sequence[Draw]]


def one(layer: type, *draws: Draw, **arguments: Any) -> Made:
    """A new layer on one input, or on several that it takes one after the other."""
    return lambda: layer(**arguments), draws


def listed(layer: type, *draws: Draw, **arguments: Any) -> Made:
    """A new layer on a list of inputs."""
    return made(lambda: _of_list(layer(**arguments)), *draws)


def made(make: Callable[[], Function], *draws: Draw) -> Made:
    """What `make` makes anew for each model."""
    return make, draws


def _of_list(layer: Function) -> Function:
    return lambda *tensors: layer(list(tensors))


def examples_of(prefix: str, name: str, function: Function, calls: Sequence[Call]) -> list[Example]:
    """An example for each call, numbered from the second on."""
    return [
        Example(f"{prefix}.{name}" + (f"/{number}" if number else ""), _maker(call(function)), tuple(draws))
        for number, (call, draws) in enumerate(calls)
    ]


def _maker(function: Function) -> Callable[[], Function]:
    return lambda: function
