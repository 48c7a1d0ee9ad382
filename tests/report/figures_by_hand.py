"""Figures made by hand, for what a report says about them."""

from __future__ import annotations

from pipeline.records import CellSamples, Environment, Footprint, Measurements, Ratio, Subject

CELL = "views/inference/onnxruntime/cpu/batch1"
MIB = 1 << 20


def cell(variant: str, *medians_s: float, batch: int = 1) -> CellSamples:
    """One process for each median."""
    subject = Subject(
        model="views",
        variant=variant,
        work="inference",
        runtime="onnxruntime",
        device="cpu",
        batch=batch,
        path=".",
    )
    samples = tuple((median, median) for median in medians_s)
    return CellSamples(
        subject=subject, device_used="CPUExecutionProvider", samples_s=samples, repeats=(1,) * len(samples)
    )


def ratio(value: float, low: float, high: float, batch: int = 1) -> Ratio:
    """A ratio after eight processes."""
    return Ratio(subject=f"views/inference/onnxruntime/cpu/batch{batch}", ratio=value, low=low, high=high, processes=8)


def footprint(resident_mib: float, spread_mib: float = 0.0, processes: int = 3) -> Footprint:
    """A footprint of which only the memory matters."""
    return Footprint(
        first_call_s=0.1,
        resident_bytes=int(resident_mib * MIB),
        peak_bytes=int(resident_mib * MIB),
        file_bytes=1,
        parameters=1,
        resident_spread_bytes=int(spread_mib * MIB),
        processes=processes,
    )


def measurements(*ratios: Ratio, quick: bool = True, seals: dict[str, str] | None = None) -> Measurements:
    """A record with these ratios, and samples for each."""
    batches = [int(one.subject.rpartition("batch")[2]) for one in ratios]
    cells = [cell(side, 1e-3, 1.1e-3, batch=batch) for batch in batches for side in ("shared", "unshared")]
    return Measurements(
        measured_at="2025-01-30T12:00:00+00:00",
        quick=quick,
        environment=Environment(
            python="3.11.0",
            platform="Linux",
            cpu="a CPU",
            logical_cores=2,
            memory_bytes=MIB,
            device="CPUExecutionProvider",
            versions={},
        ),
        cells=tuple(cells),
        ratios=tuple(ratios),
        footprints={f"{CELL}/shared": footprint(10), f"{CELL}/unshared": footprint(14)},
        seals=seals or {},
    )
