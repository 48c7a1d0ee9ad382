import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.records import FileDigest, Measurements, Ratio, TrainingRecord
from pipeline.report.figures import SIDES, Figures, gather
from pipeline.report.summary import NO_DIFFERENCE, reading, show, words
from tests.report.figures_by_hand import CELL, footprint, measurements, ratio
from tests.report.test_figures import exported, sources


def training(side: str, value: float, symmetry_error: float | None = None) -> TrainingRecord:
    """What training a variant left."""
    return TrainingRecord(
        model="views",
        variant=side,
        source_sha256="",
        seed=0,
        epochs=1,
        seconds=1.0,
        parameters=1,
        metric="accuracy",
        value=value,
        threshold=0.95,
        symmetry_error=symmetry_error,
        weights=FileDigest(sha256="", size=0),
    )


def figures(folder: Path, *found: Measurements) -> Figures:
    """Figures of two exported bundles and these measurements."""
    return replace(gather(exported(folder)), measurements=found, missing=())


def printed(found: Figures) -> str:
    """What a wide terminal shows."""
    console = Console(file=io.StringIO(), width=200)
    show(found, console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ratio(1.2, 1.1, 1.3), "shared faster"),
        (ratio(0.8, 0.7, 0.9), "shared slower"),
        (ratio(1.2, 0.99, 1.4), NO_DIFFERENCE),
        (ratio(1.0, 0.99, 1.0), NO_DIFFERENCE),
        (ratio(2.0, math.nan, math.nan), NO_DIFFERENCE),
    ],
)
def test_only_an_interval_without_one_names_a_winner(found: Ratio, said: str) -> None:
    """However far the ratio itself is from 1."""
    assert reading(found) == said


def test_the_table_and_the_words_say_the_same(tmp_path: Path) -> None:
    """A cell that shows nothing, one that does, and how many of each."""
    text = printed(figures(tmp_path, measurements(ratio(1.2, 1.1, 1.3), ratio(1.1, 0.9, 1.4, batch=8))))
    assert "no difference shown in 1 of 2 cells; shared faster in onnxruntime, 1: 1.2" in text
    assert "onnxruntime, 1: memory" in text
    assert "shared holds 4.0 MiB less" in text
    assert "a CPU, 2 cores" in text


def test_memory_within_its_spread_shows_no_difference(tmp_path: Path) -> None:
    """4 MiB apart, but each process differs by 3; and one process has no spread at all."""
    record = measurements(ratio(1.0, 0.9, 1.1))
    wide = {f"{CELL}/shared": footprint(10, 3), f"{CELL}/unshared": footprint(14, 3)}
    single = {key: footprint(10, processes=1) for key in wide}
    found = figures(tmp_path, record.model_copy(update={"footprints": wide}))
    assert any(line.endswith(NO_DIFFERENCE) and "memory" in line for line in words(found))
    found = replace(found, measurements=(record.model_copy(update={"footprints": single}),))
    assert any("spread unknown" in line for line in words(found))


def test_quality_names_the_bar_and_no_winner(tmp_path: Path) -> None:
    """The bar binds the shared model; the twin's figure is reported, and the symmetry of both."""
    trained = {"shared": training("shared", 0.96, 0.0), "unshared": training("unshared", 0.97, 0.3)}
    text = " ".join(words(replace(figures(tmp_path), training=trained)))
    assert "0.960 is past its bar of 0.95" in text
    assert "the twin reaches 0.970 on the same budget; one training run each, which ranks neither" in text
    assert "moves by at most 0, the twin's by up to 0.3" in text
    below = {"shared": training("shared", 0.9)}
    assert "MISSES its bar" in " ".join(words(replace(figures(tmp_path.joinpath("below")), training=below)))


def test_it_prints_where_figures_are_missing(tmp_path: Path) -> None:
    """Nothing at all; bundles alone; one variant alone: the rest is left out, and said so."""
    nothing = printed(gather(sources(tmp_path)))
    assert "views: no figures" in nothing
    assert "run `shared-layers bench views`" in nothing
    found = figures(tmp_path)
    assert "parameters" in printed(found)
    assert "no held-out figure" in printed(found)
    alone = replace(found, manifests={side: found.manifests[side] for side in SIDES[:1]})
    assert "parameters" in printed(alone)
