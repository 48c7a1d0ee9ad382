"""Where answers are many and large, less is kept of each, and each is there."""

from __future__ import annotations

from pathlib import Path

import keras
from keras import layers

from pipeline import cases
from pipeline.oracle.archive import MOST_BYTES
from pipeline.oracle.freeze import freeze


def test_of_many_large_outputs_every_case_and_every_round_is_kept(tmp_path: Path) -> None:
    """Four levels of features of two images, as a matcher of images gives them: megabytes a case."""
    image = keras.Input((64, 64, 3))
    first = layers.Conv2D(12, 3, padding="same", name="first")(image)
    levels = [layers.Conv2D(12, 3, padding="same", name=f"level_{number}")(first) for number in range(4)]
    tower = keras.Model(image, levels, name="tower")
    left, right = keras.Input((64, 64, 3), name="left"), keras.Input((64, 64, 3), name="right")
    truth = freeze(keras.Model([left, right], [*tower(left), *tower(right)]), tmp_path, effort="quick")
    assert truth.plan is not None
    assert truth.not_judged == ()
    assert {case.kind for case in truth.cases} >= set(cases.kinds(truth.signature))
    assert sum(bool(case.weights) for case in truth.cases) == truth.plan.rounds
    assert (tmp_path / "samples.npz").stat().st_size <= MOST_BYTES
