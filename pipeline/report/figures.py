"""The figures of one model that lie on disk, and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.bundle import MEASUREMENTS, read_manifest
from pipeline.errors import BadInput
from pipeline.records import Manifest, Measurements, TrainingRecord
from pipeline.store import RecordType, read_record

Side = Literal["shared", "unshared"]
SIDES: tuple[Side, ...] = ("shared", "unshared")
_DEVICES = ("cpu", "gpu")
# The full form first: its intervals are narrower.
_FORMS = ("full", "quick")


@dataclass(frozen=True)
class Sources:
    """Where the figures of a model lie.

    Attributes:
        model: its name.
        bundles: the folder of each variant's bundle.
        training: the training record of each variant.
        results: the folder of all bench results.
        reference: what a user types for the model, where that is not its name.
    """

    model: str
    bundles: Mapping[Side, Path]
    training: Mapping[Side, Path]
    results: Path
    reference: str | None = None


@dataclass(frozen=True)
class Figures:
    """What was found, by variant and by device; `missing` says in words what was not."""

    model: str
    manifests: Mapping[Side, Manifest]
    training: Mapping[Side, TrainingRecord]
    measurements: tuple[Measurements, ...]
    missing: tuple[str, ...]

    @property
    def both(self) -> tuple[Manifest, Manifest] | None:
        """The manifests of the shared model and of its twin, if both are there."""
        shared, unshared = self.manifests.get("shared"), self.manifests.get("unshared")
        return None if shared is None or unshared is None else (shared, unshared)


def gather(sources: Sources) -> Figures:
    """Read what there is. Figures of another export than the bundles' are left out, and so is what can't be read."""
    missing: list[str] = []
    manifests = {side: found for side in SIDES if (found := _manifest(sources, side, missing)) is not None}
    training = {
        side: record
        for side, path in sources.training.items()
        if (record := _record(path, TrainingRecord, missing)) is not None
    }
    measurements = _measurements(sources, manifests, missing)
    return Figures(sources.model, manifests, training, measurements, tuple(missing))


def _manifest(sources: Sources, side: Side, missing: list[str]) -> Manifest | None:
    try:
        return read_manifest(sources.bundles[side])
    except BadInput as error:
        what = "the bundle" if side == "shared" else "the twin's bundle"
        missing.append(f"{what} is left out: {error}")
        return None


def _record(path: Path, kind: type[RecordType], missing: list[str]) -> RecordType | None:
    """The record at `path`, if there is one that this version reads."""
    if not path.is_file():
        return None
    try:
        return read_record(path, kind)
    except BadInput as error:
        missing.append(f"{path.name} is left out: {error}")
        return None


def _measurements(sources: Sources, manifests: Mapping[Side, Manifest], missing: list[str]) -> tuple[Measurements, ...]:
    """For each device the full figures, or else the quick ones, that belong to these bundles."""
    seals = {f"{sources.model}/{side}": manifest.seal for side, manifest in manifests.items()}
    found: list[Measurements] = []
    has_stale = False
    for device in _DEVICES:
        paths = [sources.results / sources.model / f"{device}-{form}" / MEASUREMENTS for form in _FORMS]
        records = [record for path in paths if (record := _record(path, Measurements, missing)) is not None]
        current = [record for record in records if seals and record.seals == seals]
        has_stale = has_stale or len(current) < len(records)
        found += current[:1]
    if not found:
        reason = "they are of an earlier export" if has_stale else "there are none"
        command = shlex.join(("shared-layers", "bench", sources.reference or sources.model))
        missing.append(f"times and memory are left out: {reason}; run `{command}`")
    return tuple(found)
