"""What a verdict stands on, read from a bundle's manifest of any format: what it does not hold is not told."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.real.records import Judged


def read_judged(manifest: Path) -> Judged:
    """Rows by kind, shared weights and those asked, rules; of a manifest that is not there: nothing."""
    return judged(json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {})


def judged(manifest: dict[str, Any]) -> Judged:
    """The same of a manifest's JSON.

    A shared weight is one that two or more call sites read. It was asked if a case moved it: alone (`weight`, format
    1) or in a round with others (`weights`). Cases that move weights are rounds, not a kind of inputs; their rows
    count.
    """
    truth = manifest.get("truth", {})
    cases = truth.get("cases", [])
    rows: Counter[str] = Counter()
    for case in cases:
        rows[case["kind"]] += case["batch"]
    rounds = [case for case in cases if case.get("weights") or case.get("weight")]
    kinds = {case["kind"] for case in cases if case not in rounds}
    plan = truth.get("plan") or {}
    shared = {place["weight"] for place in manifest.get("weight_map", []) if len(place.get("call_sites", [])) > 1}
    moved = {name for case in cases for name in (case.get("weights") or [case.get("weight")])}
    return Judged(
        rows=dict(rows),
        kinds=len(kinds),
        rounds=len(rounds),
        shared_weights=len(shared),
        asked_weights=len(shared & moved),
        rules=tuple(sorted({budget["rule"] for budget in truth.get("budgets", [])})),
        effort=plan.get("effort", ""),
        thinned=tuple(plan.get("thinned", [])),
    )
