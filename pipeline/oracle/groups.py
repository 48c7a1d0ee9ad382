"""Keras' answers while some groups of shared weights are moved, one group after the other: which are not followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.bundle import SAMPLES, TRUTH, CaseArrays
from pipeline.oracle.archive import Archive
from pipeline.oracle.asked import Asked, limits_of
from pipeline.oracle.rounds import moves
from pipeline.records import ROUND, Truth
from pipeline.store import digest, refusing_unwritable, write_record
from pipeline.truth.budgets import Answered, Settled, budgets
from pipeline.truth.plan import DRAWS

KEY = "group{}"


def ask_groups(asked: Asked, like: CaseArrays, groups: Sequence[tuple[str, ...]], truth: Truth, folder: Path) -> None:
    """Write a truth whose cases are one for each group of weights, with a budget of its own.

    Args:
        asked: the model, and who answers.
        like: the round whose inputs, and other weights, they have.
        groups: names of weights that are moved together; their cases have the keys `KEY`, counted from 0.
        truth: that the round is of.
        folder: an existing folder that `samples.npz` and `truth.json` are written to.

    Raises:
        NoAnswer: if the model gives no answer to one of them.
        BadInput: if the folder can't be written.
    """
    draws = DRAWS if truth.no_float64 is None else None
    base = like.case.model_copy(update={"weights": ()})
    asked.answers(like.inputs, limits_of(0.0), moves(base, asked.weights, asked.snapshot), draws=draws, at_scale=True)
    archive, settled = Archive(like.case.batch * len(groups)), list[Settled]()
    for number, names in enumerate(groups):
        inputs_of = KEY.format(0) if number else None  # the first has them
        told = {"key": KEY.format(number), "kind": ROUND.format(number), "inputs_of": inputs_of, "weights": names}
        case = like.case.model_copy(update=told)
        found = asked.answers(like.inputs, limits_of(0.0), moves(case, asked.weights, asked.snapshot), draws=draws)
        answered = Answered(case, found.float32, found.float64, found.noisy, found.decided)
        kept = archive.add(answered, like.inputs, truth.signature)
        settled += [] if kept is None else [kept]
    with refusing_unwritable(folder):
        np.savez_compressed(folder / SAMPLES, **archive.arrays)  # type: ignore[arg-type]
    written = {
        "cases": tuple(each.case for each in settled),
        "budgets": budgets(asked.model, truth.signature, settled),
        "shared": tuple(dict.fromkeys(name for names in groups for name in names)),
        "samples": digest(folder / SAMPLES),
    }
    write_record(folder / TRUTH, truth.model_copy(update=written))
