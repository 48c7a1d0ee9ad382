from pathlib import Path

from pipeline.bundle import read_manifest
from pipeline.records import Measurements
from pipeline.report.figures import SIDES, Figures, Sources, gather
from pipeline.store import write_record
from tests.report.figures_by_hand import measurements, ratio
from tests.small_bundle import write_bundle


def exported(folder: Path) -> Sources:
    """Both bundles, nothing else."""
    for side in SIDES:
        (folder / side).mkdir(parents=True)
        write_bundle(folder / side)
    return sources(folder)


def sources(folder: Path) -> Sources:
    """Where figures of `views` would lie."""
    bundles = {side: folder / side for side in SIDES}
    return Sources("views", bundles, {side: folder / side / "training.json" for side in SIDES}, folder / "results")


def bench(found: Sources, form: str, seals: dict[str, str] | None = None) -> Measurements:
    """Leave figures of these bundles, or of those with other seals."""
    now = {f"views/{side}": read_manifest(found.bundles[side]).seal for side in SIDES}
    record = measurements(ratio(1.0, 0.9, 1.1), quick=form == "quick", seals=seals or now)
    write_record(found.results / "views" / f"cpu-{form}" / "measurements.json", record)
    return record


def test_figures_of_these_bundles_are_read_the_full_form_first(tmp_path: Path) -> None:
    """Both forms lie there: the one with narrower intervals counts."""
    found = exported(tmp_path)
    quick = bench(found, "quick")
    assert gather(found).measurements == (quick,)
    full = bench(found, "full")
    assert gather(found).measurements == (full,)
    assert gather(found).missing == ()


def test_figures_of_an_earlier_export_are_left_out_and_said_so(tmp_path: Path) -> None:
    """A full run of yesterday's model does not stand in for today's; a quick run of today's does."""
    found = exported(tmp_path)
    bench(found, "full", seals={"views/shared": "0" * 64, "views/unshared": "0" * 64})
    stale = gather(found)
    assert stale.measurements == ()
    assert "earlier export; run `shared-layers bench views`" in stale.missing[0]
    quick = bench(found, "quick")
    assert gather(found).measurements == (quick,)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """No bundle, no twin, no figures: three lines and no exception."""
    found: Figures = gather(sources(tmp_path))
    assert (found.manifests, found.training, found.measurements) == ({}, {}, ())
    assert len(found.missing) == 3


def test_a_record_of_another_version_is_left_out_and_named(tmp_path: Path) -> None:
    """Its fields are unknown here: the rest of the report still prints."""
    found = exported(tmp_path)
    bench(found, "quick")
    path = found.results / "views" / "cpu-quick" / "measurements.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 99'))
    read = gather(found)
    assert read.measurements == ()
    assert any("measurements.json is left out" in line for line in read.missing)
