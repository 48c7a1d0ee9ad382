"""Samples that were taken elsewhere, entering pytest-benchmark through its timer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.bench.plan import FOOTPRINT_BATCH, footprint_key
from pipeline.records import CellSamples, Measurements, Ratio, Subject


class ReplayedSamples:
    """A timer for `benchmark.pedantic(target, rounds=len(samples))`: each round seems to take as long as its sample.

    pytest-benchmark reads a timer before and after each round, so it gets 0 and the sample by turns: the difference is
    the sample to the last bit.
    """

    __name__ = "replayed_samples"  # pytest-benchmark writes a timer's name into its JSON

    def __init__(self) -> None:
        self._readings: Iterator[float] = iter(())

    def load(self, samples_s: Iterable[float]) -> None:
        """The samples of the rounds to come, in seconds."""
        self._readings = (reading for sample in samples_s for reading in (0.0, sample))

    def __call__(self) -> float:
        """The next reading; StopIteration after the last."""
        return next(self._readings)


def samples_of(measurements: Measurements, subject: Subject) -> CellSamples:
    """The samples of one subject.

    Raises:
        KeyError: if it was not measured.
    """
    for cell in measurements.cells:
        if cell.subject.key == subject.key:
            return cell
    raise KeyError(subject.key)


def extra_info(measurements: Measurements, subject: Subject) -> dict[str, float | int | str | None]:
    """What stands beside a subject's times: sizes in bytes, seconds, the device that ran, the ratio to the twin.

    The ratio is `unshared / shared` of paired times with its 95 % interval, the same for both variants; NaN, which JSON
    lacks, becomes None. Memory and the first call were taken at batch `footprint_batch`.
    """
    cell = samples_of(measurements, subject)
    info: dict[str, float | int | str | None] = {
        "model": subject.model,
        "variant": subject.variant,
        "runtime": subject.runtime,
        "batch": subject.batch,
        "sizes": " ".join(f"{axis}={size}" for axis, size in subject.sizes.items()),
        "device_used": cell.device_used,
        "worker_processes": len(cell.samples_s),
        "calls_in_a_sample": max(cell.repeats),
        "note": cell.note,
    }
    key = footprint_key(subject)
    footprint = measurements.footprints.get(key) or measurements.footprints.get(subject.key)
    if footprint is not None:
        info |= {
            "footprint_batch": FOOTPRINT_BATCH if key in measurements.footprints else subject.batch,
            "parameters": footprint.parameters,
            "file_bytes": footprint.file_bytes,
            "first_call_s": footprint.first_call_s,
            "peak_bytes": footprint.peak_bytes,
            "resident_bytes_after_first_answer": footprint.resident_bytes,
        }
    ratio = next((ratio for ratio in measurements.ratios if ratio.subject == subject.cell), None)
    return info | ({} if ratio is None else _ratio_info(ratio))


def _ratio_info(ratio: Ratio) -> dict[str, float | None]:
    low, high = (None if bound != bound else bound for bound in (ratio.low, ratio.high))
    return {"unshared_over_shared": ratio.ratio, "unshared_over_shared_low": low, "unshared_over_shared_high": high}
