"""What an export asks, and what it never asks less than."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from pipeline import bundle, cases
from pipeline.oracle.freeze import freeze
from pipeline.records import Effort
from pipeline.truth.plan import Fixed, Work, planned

HUGE = Work(operations=1e15, elements=1e12, nodes=1e6)
SMALL = Work(operations=1e3, elements=1e3, nodes=30)
ROOM = 2**36


@pytest.mark.parametrize("effort", ["quick", "standard"])
def test_the_least_is_every_round_and_two_sizes_of_a_batch(effort: Effort) -> None:
    """However large the model."""
    plan = planned(effort, HUGE, kinds=8, shared=200, base_cases=1, free_memory=ROOM, static_batch=None).plan
    assert plan.batches == (1, 2)
    assert (plan.kind_batch, plan.round_batch, plan.rounds) == (1, 1, 9)
    assert any("draws of noise" in line for line in plan.thinned)


def test_a_small_model_is_asked_everything() -> None:
    """Nothing is thinned."""
    plan = planned("standard", SMALL, kinds=8, shared=3, base_cases=0, free_memory=ROOM, static_batch=None).plan
    assert plan.batches == (1, 3, 17, 64, 257)
    assert plan.thinned == ()
    long = replace(HUGE, elements=1e3)
    thorough = planned("thorough", long, kinds=8, shared=3, base_cases=0, free_memory=ROOM, static_batch=None).plan
    assert (thorough.kind_batch, thorough.affordable) == (plan.kind_batch, None)


def test_what_no_row_changes_is_counted_too() -> None:
    """Traces, processes and weights are told; weights that every round moves leave less for rows."""
    work, fixed = Work(operations=1e7, elements=3e4, nodes=1e3), Fixed(1000, 3000, 2 * 10**9)
    light, heavy = (
        planned("standard", work, 8, 15, 1, ROOM, None, fixed=each).plan for each in (Fixed(1000, 3000, 0), fixed)
    )
    assert heavy.fixed == {"traces": 4.8, "processes": 10.0, "weights": 16.0}
    assert light.fixed["weights"] == 0
    assert heavy.thinned
    assert not light.thinned


def test_of_rows_of_padding_there_is_one_that_is_none(tmp_path) -> None:
    """At the least effort, too: alone it would say nothing of a mask."""
    ids = keras.Input((6,), dtype="int32", name="ids")
    hidden = layers.LSTM(3)(layers.Embedding(9, 4, mask_zero=True)(ids))
    truth = freeze(keras.Model(ids, layers.Dense(2)(hidden)), tmp_path, effort="quick")
    assert {case.kind for case in truth.cases} >= set(cases.kinds(truth.signature))
    (padded,) = [
        each for each in bundle.read_cases(tmp_path / "samples.npz", truth) if each.case.kind == "rows of padding"
    ]
    valid = np.count_nonzero(padded.inputs["ids"], axis=1)
    assert sorted(valid > 0) == [False, True]
    assert truth.plan is not None
    assert truth.plan.fixed["traces"] > 0
