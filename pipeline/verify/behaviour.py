"""Whether an artifact follows a change of a shared weight as Keras did: through every call site, and that weight alone.

Its structure can look right and not be: one call site may read a copy, two weights may have been merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.bundle import CaseArrays
from pipeline.records import Check, Truth
from pipeline.verify.parity import Run, judge

# Makes, for a case's perturbed weight, what runs the artifact with it.
Perturbing = Callable[[CaseArrays], Run]


def plain(cases: tuple[CaseArrays, ...]) -> tuple[CaseArrays, ...]:
    """The cases that are judged, and that the artifact answers as it is."""
    return tuple(case for case in cases if case.case.weight is None and not case.case.is_reported)


def check_behaviour(artifact: str, truth: Truth, cases: tuple[CaseArrays, ...], perturbing: Perturbing) -> Check:
    """Run every case of a perturbed weight, and hold the answers against Keras' own to the same change."""
    asked = [case for case in cases if case.case.weight is not None]
    found = {case.case.key: list(_faults(artifact, truth, case, perturbing(case))) for case in asked}
    faults = [fault for of_case in found.values() for fault in of_case]
    detail = "; ".join(faults) or f"{len(asked)} weights, one after another"
    if not asked:
        detail = "no shared weight was perturbed"
    first = next((key for key, of_case in found.items() if of_case), "")
    return Check(name=f"{artifact} follows each shared weight", passed=not faults, detail=detail, case=first)


def _faults(artifact: str, truth: Truth, case: CaseArrays, run: Run) -> Iterator[str]:
    for check in judge(artifact, truth, (case,), run).checks:
        if not check.passed:
            yield f"weight {case.case.weight!r} perturbed: {check.name}: {check.detail}"
