"""Random weights under which moving a shared weight shows in the answers.

A fresh backbone hides its weights: each of fifty layers halves what it is given, and at the output nothing is left that
a budget could tell from rounding. Weights are judged by what the file does with them, so any will do. They are scaled
until the ones that are tried show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.graph.weights import Weight
from pipeline.oracle.asking import Answers
from pipeline.records import Case

Ask = Callable[[Case, bool], Answers | None]

# What weights of two axes or more are multiplied by, in the order tried. (He's initialisation is 1.41 times Glorot's.)
GAINS = (1.0, 1.41, 2.0, 2.4, 3.0, 4.0, 6.0, 0.7)
# A move of five to ten per cent that changes an output by so many budgets is seen.
ENOUGH = 30.0
_TRIED = 3  # weights: the first, one in the middle and the last
# What a budget will be at least, as far as can be told beforehand: times Keras' own error, and of the output's scale.
_OWN, _OF_SCALE = 8.0, 4 * float(np.finfo(np.float32).eps)
_OF_SCALE_STATED = 1e-4  # without a float64 reference


def tried(shared: Sequence[Weight]) -> tuple[str, ...]:
    """The weights whose effect is looked at, in call order: of two axes or more, if there are any.

    What is added in two calls may cancel in their difference.
    """
    wide = [each.name for each in shared if len(each.variable.shape) > 1] or [each.name for each in shared]
    places = np.linspace(0, len(wide) - 1, min(_TRIED, len(wide))).astype(int)
    return tuple(dict.fromkeys(wide[place] for place in places))


def most_visible(bases: Sequence[Case], names: Sequence[str], seed: int, ask: Ask) -> tuple[Case, float]:
    """The first base on which moving each of some weights shows enough; if none does, that on which it shows most.

    Beside it stands how much it shows, in budgets.

    Args:
        bases: cases that differ in their weights, in the order of preference.
        names: the weights that are moved, one at a time.
        seed: of the moves.
        ask: what the model answers in a case, in float64 too where that is asked for; None where it gives none.
    """
    found: list[tuple[float, int]] = []
    for number, base in enumerate(bases):
        seen = _effect(base, names, seed, ask)
        if seen >= ENOUGH:
            return base, seen
        found.append((seen, -number))
    most, number = max(found)
    return bases[-number], most


def _effect(base: Case, names: Sequence[str], seed: int, ask: Ask) -> float:
    """The least change that moving one of the weights makes, in budgets of the output that shows it most."""
    plain = ask(base, True)
    if plain is None:
        return 0.0
    effects = []
    for name in names:
        # In its own precision alone: what is seen is thirty times what that errs by.
        answer = ask(base.model_copy(update={"weights": (name,), "weight_seed": seed}), False)
        effects.append(0.0 if answer is None else _change(plain, answer))
    return min(effects, default=math.inf)


def _change(plain: Answers, moved: Answers) -> float:
    """The largest change of any output of floating-point numbers, in budgets; 0 where one is not finite."""
    changes = [0.0]
    for name, narrow in plain.float32.items():
        if narrow.dtype.kind != "f" or not narrow.size:
            continue
        before, after = (np.asarray(each.float32[name], np.float64) for each in (plain, moved))
        if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
            return 0.0
        budget = _budget(before, None if plain.float64 is None else plain.float64[name])
        changes.append(float(np.abs(after - before).max()) / budget if budget else 0.0)
    return max(changes)


def _budget(narrow: np.ndarray, exact: np.ndarray | None) -> float:
    """What a budget of these answers is at least."""
    scale = float(np.abs(narrow).max())
    if exact is None:
        return _OF_SCALE_STATED * scale
    if not np.isfinite(exact).all():
        return 0.0
    return _OWN * float(np.abs(narrow - exact).max()) + _OF_SCALE * scale
