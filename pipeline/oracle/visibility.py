"""Random weights under which moving a shared weight shows in the answers.

A fresh backbone hides its weights: each of fifty layers halves what it is given, and at the output nothing is left that
a budget could tell from rounding. Weights are judged by what the file does with them, so any will do. They are scaled
until the ones that are tried show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.records import Case

Arrays = Mapping[str, np.ndarray]
Ask = Callable[[Case], Arrays | None]

# What weights of two axes or more are multiplied by, in the order tried. (He's initialisation is 1.4 times Glorot's.)
GAINS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 0.5)
# A move of five to ten per cent that changes an output by so much of its scale is seen: some hundred budgets.
ENOUGH = 1e-3
_TRIED = 3  # weights: the first, one in the middle and the last


def tried(shared: Sequence[str]) -> tuple[str, ...]:
    """The weights whose effect is looked at, among all that are shared, in call order."""
    places = np.linspace(0, len(shared) - 1, min(_TRIED, len(shared))).astype(int)
    return tuple(dict.fromkeys(shared[place] for place in places))


def most_visible(bases: Sequence[Case], names: Sequence[str], seed: int, ask: Ask) -> Case:
    """The first base on which moving each of some weights shows enough; if none does, that on which it shows most.

    Args:
        bases: cases that differ in their weights, in the order of preference.
        names: the weights that are moved, one at a time.
        seed: of the moves.
        ask: what the model answers in a case, by output; None where it gives none.
    """
    found: list[tuple[float, int]] = []
    for number, base in enumerate(bases):
        seen = _effect(base, names, seed, ask)
        if seen >= ENOUGH:
            return base
        found.append((seen, -number))
    return bases[-max(found)[1]]


def _effect(base: Case, names: Sequence[str], seed: int, ask: Ask) -> float:
    """The least change that moving one of the weights makes, relative to the scale of the output that shows it most."""
    plain = ask(base)
    if plain is None:
        return 0.0
    effects = []
    for name in names:
        answer = ask(base.model_copy(update={"weights": (name,), "weight_seed": seed}))
        effects.append(0.0 if answer is None else _change(plain, answer))
    return min(effects, default=1.0)


def _change(plain: Arrays, answer: Arrays) -> float:
    """The largest change of any output of floating-point numbers, relative to its scale; 0 where one is not finite."""
    changes = [0.0]
    for name, before in plain.items():
        if before.dtype.kind != "f" or not before.size:
            continue
        before, after = before.astype(np.float64), answer[name].astype(np.float64)
        if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
            return 0.0
        scale = float(np.abs(before).max())
        changes.append(float(np.abs(after - before).max()) / scale if scale else 0.0)
    return max(changes)
