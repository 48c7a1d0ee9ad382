"""Examples of `keras.ops`: how each public function is called.

A function whose required parameters are tensors alone (`x`, `x1`, `x2`, `y`) has one without being named here: floats.
What asks for other numbers, and what has arguments that change its graph, is listed by room.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from keras import ops

from tests.breadth import operations_core, operations_image, operations_math, operations_nn, operations_numpy
from tests.breadth.example import Call, Example, examples_of, floats, on

LISTED: dict[str, Sequence[Call]] = {
    **operations_core.CALLS,
    **operations_image.CALLS,
    **operations_math.CALLS,
    **operations_nn.CALLS,
    **operations_numpy.CALLS,
}
_TENSORS = frozenset({"x", "x1", "x2", "y"})


def operations() -> dict[str, Example]:
    """Every example by its name, in the order of the functions' names."""
    found = [
        example
        for name, function in sorted(functions().items())
        for example in examples_of("ops", name, function, LISTED.get(name) or _by_parameters(function))
    ]
    return {example.name: example for example in found}


def functions() -> dict[str, object]:
    """Every public function of `keras.ops`: of its rooms `image.resize`, of what is there under no other name."""
    found = {name: getattr(ops, name) for name in _public(ops) if callable(getattr(ops, name))}
    for room in ("image", "linalg", "nn", "numpy"):
        own = getattr(ops, room)
        others = {f"{room}.{name}": getattr(own, name) for name in _public(own) if name not in found}
        found |= {name: function for name, function in others.items() if callable(function)}
    return found


def _public(room: object) -> list[str]:
    return [name for name in dir(room) if not name.startswith("_")]


def _by_parameters(function: object) -> list[Call]:
    """Floats for each required parameter; nothing where one is no tensor."""
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    required = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    return [on(*(floats(2, 3, 4) for _ in required))] if set(required) <= _TENSORS else []
