"""Whether an artifact follows a change of its shared weights as Keras did: through every call site, and those alone.

Its structure can look right and not be: one call site may read a copy, two weights may have been merged. Many weights
are moved together, in rounds; each weight is in other rounds than every other, so that those which fail tell of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.budget_rule import CEILING
from pipeline.bundle import CaseArrays
from pipeline.records import Check, Truth, WeightPlacement
from pipeline.verify.parity import Run, judge

# Makes, for a case with moved weights, what runs the artifact with them.
Perturbing = Callable[[CaseArrays], Run]

FOLLOWS = "follows each shared weight"  # what the check is called, behind the artifact's name
_NAMES_SHOWN = 5


def plain(cases: tuple[CaseArrays, ...]) -> tuple[CaseArrays, ...]:
    """The cases that are judged, and that the artifact answers as it is."""
    return tuple(case for case in cases if not case.case.is_moved and not case.case.is_reported)


def randomised(cases: tuple[CaseArrays, ...]) -> tuple[CaseArrays, ...]:
    """The cases with random weights in place of the model's own, and no others moved."""
    return tuple(case for case in cases if case.case.random_seed is not None and not case.case.weights)


def rounds(cases: tuple[CaseArrays, ...]) -> tuple[CaseArrays, ...]:
    """The cases with moved shared weights."""
    return tuple(case for case in cases if _moved(case))


def _moved(case: CaseArrays) -> tuple[str, ...]:
    return case.case.weights or (() if case.case.weight is None else (case.case.weight,))


def shared_weights(weight_map: Collection[WeightPlacement]) -> tuple[str, ...]:
    """The weights that several call sites read, in the order of the map."""
    names = (each.weight for each in weight_map if len(each.call_sites) > 1)
    return tuple(dict.fromkeys(names))


def to_be_asked(truth: Truth, weight_map: Collection[WeightPlacement] = ()) -> tuple[str, ...]:
    """The weights that have to be asked: those shared by the frozen truth, and by the weight map where there is one."""
    return tuple(dict.fromkeys((*truth.shared, *shared_weights(weight_map))))


def check_behaviour(
    artifact: str,
    truth: Truth,
    cases: tuple[CaseArrays, ...],
    shared: Collection[str],
    perturbing: Perturbing,
    not_read: Mapping[str, tuple[str, ...]] | None = None,
) -> Check:
    """Run every case with moved shared weights, and hold the answers against Keras' own to the same change.

    Args:
        artifact: what it is called.
        truth: that the cases are of.
        cases: all of them.
        shared: the weights that have to be asked; one that no case moves fails the check.
        perturbing: what runs the artifact for a case.
        not_read: for weights that some of their call sites do not read, those call sites, where that is known.
    """
    asked = rounds(cases)
    decided = [case for case in asked if _decides(truth, case)]
    found = {case.case.key: list(_faults(artifact, truth, case, perturbing(case))) for case in asked}
    failed = [case for case in asked if found[case.case.key]]
    unasked = _unasked(truth, decided, shared)
    named = _named(asked, failed, not_read or {}) if failed else None
    told = [] if named is None else [named.text]
    told += [fault for case in failed[:1] for fault in found[case.case.key]]
    told += [f"not asked: {listed_names(unasked)}{_why(asked, decided)}"] if unasked else []
    weights = {name for case in asked for name in _moved(case)}
    detail = "; ".join(told) or (f"{len(weights)} weights in {len(asked)} rounds" if asked else _none_asked(shared))
    return Check(
        name=f"{artifact} {FOLLOWS}",
        passed=not told,
        detail=detail,
        case=failed[0].case.key if failed else "",
        weights=() if named is None else named.weights,
        is_open=named is not None and named.is_open,
    )


def _decides(truth: Truth, case: CaseArrays) -> bool:
    """Whether some output can tell in a case: one of integers that are not all open, or with a budget that says much.

    Where noise moves an output by more than a tenth of its scale, that is more than moving a weight may do.
    """
    for spec in truth.signature.outputs:
        budget = truth.budget(spec.name, case.case.kind)
        if budget is None:
            open_ = case.open.get(spec.name)
            if open_ is None or not open_.all():
                return True
        elif budget.relative <= CEILING:
            return True
    return False


def _why(asked: Collection[CaseArrays], decided: Collection[CaseArrays]) -> str:
    """The rounds that count as not asked, if there are any."""
    keys = {case.case.key for case in decided}
    others = [case.case.key for case in asked if case.case.key not in keys]
    return f" (the budgets of {', '.join(others)} are above {CEILING:g} and decide nothing)" if others else ""


def _unasked(truth: Truth, asked: Collection[CaseArrays], shared: Collection[str]) -> list[str]:
    """The shared weights that no case moves. Format 1 left out what had no room, and did not say so."""
    if truth.format == 1:
        return []
    moved = {name for case in asked for name in _moved(case)}
    return [name for name in shared if name not in moved]


def _none_asked(shared: Collection[str]) -> str:
    """Why a check holds that has asked nothing."""
    if not shared:
        return "no weight is shared"
    return f"not checked: format 1 does not say which of {len(shared)} shared weights were to be asked"


@dataclass(frozen=True)
class _Named:
    """What the rounds that failed tell, and of which weights; where `is_open` some of those are at fault."""

    text: str
    weights: tuple[str, ...]
    is_open: bool = False


def _named(asked: tuple[CaseArrays, ...], failed: list[CaseArrays], not_read: Mapping[str, tuple[str, ...]]) -> _Named:
    """The weights that the rounds which failed tell of, or those which they may be.

    A round fails by any weight in it, so that two weights fail the rounds of a third. One is named where a call site is
    seen to read another in its place, and where the rounds can't have failed without it; all else are candidates. A
    copy that keeps its own values while all others are drawn at random fails every round.
    """
    keys = {case.case.key for case in failed}
    in_rounds: dict[str, set[str]] = {}
    for case in reversed(asked):  # the last has all of them in order
        for name in _moved(case):
            in_rounds.setdefault(name, set()).add(case.case.key)
    fitting = {name: own for name, own in in_rounds.items() if own <= keys}
    seen = {name: sites for name, sites in not_read.items() if name in fitting}
    if seen and (len(failed) == len(asked) or keys == set().union(*(fitting[name] for name in seen))):
        shown = list(seen.items())[:_NAMES_SHOWN]
        told = "; ".join(f"weight {name!r} is not followed: {', '.join(own)} reads another" for name, own in shown)
        return _Named(told, tuple(seen))
    rounds_told = f"rounds {', '.join(sorted(keys))}"
    if keys != set().union(*fitting.values()):
        told = f"which weights are not followed, the {rounds_told} that failed don't tell"
        return _Named(told, tuple(in_rounds), is_open=True)
    needed = _needed(fitting, keys)
    if needed:
        return _Named(f"{not_followed(needed)} ({rounds_told})", tuple(fitting), is_open=len(needed) < len(fitting))
    alone = [name for name, own in fitting.items() if own == keys]
    several = f"several of {listed_names(list(fitting))} are not: the {rounds_told} that failed don't tell"
    told = f"weight {' or '.join(map(repr, alone))} is not followed, or {several}" if alone else several
    return _Named(told, tuple(fitting), is_open=True)


def not_followed(names: Sequence[str]) -> str:
    """That the artifact does not follow these weights."""
    are = "weight {} is" if len(names) == 1 else "weights {} are"
    return f"{are.format(listed_names(names))} not followed"


def _needed(fitting: Mapping[str, set[str]], keys: set[str]) -> list[str]:
    """The weights without which the rounds of all others would not be those that failed."""
    counted = Counter(key for own in fitting.values() for key in own)
    return [name for name, own in fitting.items() if any(counted[key] == 1 for key in own & keys)]


def listed_names(names: Sequence[str]) -> str:
    """Names for a message, the first few of many."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(map(repr, names[:_NAMES_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _faults(artifact: str, truth: Truth, case: CaseArrays, run: Run) -> Iterator[str]:
    for check in judge(artifact, truth, (case,), run).checks:
        if not check.passed:
            yield f"{check.name}: {check.detail}"
