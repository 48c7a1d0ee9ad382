"""How long free axes get is planned: for a model of images sixteen times the shortest may be some gigabytes."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from keras import layers

from pipeline import bundle, cases
from pipeline.oracle.freeze import freeze
from pipeline.records import AxisRule, InputSpec, Signature
from pipeline.truth.plan import Longest, Work, longest, planned

ROOM = 2**40


def work(row_bytes: int) -> Work:
    """A row of so many bytes and hardly any arithmetic."""
    return Work(operations=1.0, elements=row_bytes / 8, nodes=1)


@pytest.mark.parametrize(
    ("bytes_at_once", "times"), [((2**20, 2**18, 2**16), 16), ((2**30, 2**20, 2**16), 8), ((2**40, 2**36, 2**32), 4)]
)
def test_the_longest_of_which_two_rows_are_affordable_is_taken(bytes_at_once: tuple[int, ...], times: int) -> None:
    """Else the last that is offered, with one row."""
    offered = zip(cases.LONGEST_TIMES, map(work, bytes_at_once), strict=True)
    found = longest(offered, ROOM)
    assert found is not None
    assert found.times == times
    assert found.rows(17) >= 1


def test_a_plan_counts_the_long_case_as_what_it_is_and_says_what_is_less() -> None:
    """A row of it is another's many times over."""
    long = Longest(times=8, work=work(2**26), most_rows=2)
    small = planned("quick", work(2**10), 5, 0, 0, ROOM, None)
    found = planned("quick", work(2**10), 5, 0, 0, ROOM, None, longest=long).plan
    assert found.cost > 1000 * small.plan.cost
    assert (found.longest_times, found.longest_batch) == (8, 1)
    assert any("axes 8 times the shortest at most, not 16" in told for told in found.thinned)


def test_sizes_of_free_axes_follow_their_rules() -> None:
    """The average of random cases, and the longest."""
    image = InputSpec(name="image", shape=("batch", "rows", "columns", 3), dtype="float32")
    signature = Signature(inputs=(image,), outputs=(), axes={"rows": AxisRule(least=64), "columns": AxisRule(most=9)})
    assert cases.usual_size(signature) == 160
    assert [cases.longest_size(signature, times) for times in cases.LONGEST_TIMES] == [1024, 512, 256]


def test_an_image_model_of_any_size_stays_within_its_means(tmp_path: Path) -> None:
    """Without "same" padding it needs 78 pixels: sixteen times that are 50 MB an image after its first layer alone."""
    image = keras.Input((None, None, 3), name="image")
    x = image
    for strides in (1, 2, 2, 2, 2):
        x = layers.Conv2D(16, 5, strides, activation="relu")(x)
    truth = freeze(keras.Model(image, layers.GlobalAveragePooling2D()(x)), tmp_path, effort="quick")
    assert truth.plan is not None
    assert truth.plan.longest_times == 4
    (case,) = (case for case in truth.cases if case.kind == "longest")
    held = next(
        each for each in bundle.read_cases(tmp_path / "samples.npz", truth) if each.case.key == case.key
    )  # drawn again by whoever reads
    assert max(held.inputs["image"].shape) <= 4 * 128
    assert not truth.not_judged
