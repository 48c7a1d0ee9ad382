"""What was timed."""

from __future__ import annotations

from typing import Literal

from pipeline.records.base import Number, Record


class Subject(Record):
    """What is timed: one variant of one model, in one runtime, doing one kind of work at one batch size.

    `variant` says what is compared within a cell: `shared` and `unshared`, or who made the file that is loaded.
    `path` is the artifact or the folder it is built from; `reference` the model reference, where a runtime needs code,
    and `imports` modules with custom layers. `sizes` are those of the free axes of its inputs, by axis.
    """

    model: str
    variant: str
    work: Literal["inference", "training_step"]
    runtime: Literal["keras", "saved_model", "onnxruntime"]
    device: Literal["cpu", "gpu"]
    batch: int
    path: str
    reference: str | None = None
    imports: tuple[str, ...] = ()
    sizes: dict[str, int] = {}

    @property
    def key(self) -> str:
        """A name for one cell of a table; the variant is last."""
        return f"{self.cell}/{self.variant}"

    @property
    def cell(self) -> str:
        """What two variants of one model have in common when they are compared: the key without the variant."""
        return f"{self.model}/{self.work}/{self.runtime}/{self.device}/batch{self.batch}"


class Environment(Record):
    """The machine and the versions that a measurement ran on; `device` is what was really used."""

    python: str
    platform: str
    cpu: str
    logical_cores: int
    memory_bytes: int
    device: str
    versions: dict[str, str]


class Footprint(Record):
    """What one subject costs beside its time: medians over `processes` fresh processes, one subject in each.

    `first_call_s` covers load, trace, compile or session start up to the first answer, the runtime's own import left
    out; memory is resident set size in bytes, grown since just before loading: after the first answer, and at its peak.
    `resident_spread_bytes` is the largest less the smallest over the processes (0 for a single one: not known).
    """

    first_call_s: float
    resident_bytes: int
    peak_bytes: int
    file_bytes: int
    parameters: int
    resident_spread_bytes: int = 0
    processes: int = 1


class CellSamples(Record):
    """All samples of one subject: one tuple of seconds a call for each worker process, in order of measurement.

    `repeats` says for each process how many calls one sample is the mean of. Sample i of one variant and sample i of
    the other, in one process, were timed one right after the other. `note`: what was timed otherwise than one expects.
    """

    subject: Subject
    device_used: str
    samples_s: tuple[tuple[float, ...], ...]
    repeats: tuple[int, ...]
    note: str = ""


class Ratio(Record):
    """`unshared / shared` of paired times: above 1 the shared model is faster. `subject` names the cell.

    `low` and `high` bound a 95 % interval over worker processes; both are NaN after a single process.
    """

    subject: str
    ratio: float
    low: Number
    high: Number
    processes: int

    @property
    def shows_difference(self) -> bool:
        """Whether the interval leaves 1 out; without an interval nothing is shown."""
        return self.low > 1 or self.high < 1


class Measurements(Record):
    """`measurements.json`: what was timed, when (ISO 8601, UTC) and where. Never part of a hash.

    `seals` holds, by `model/variant`, the seal of the manifest of the bundle that was timed: figures of an earlier
    export can be told by it. `footprints` are by subject key, at the batch size that the key names. `left_out` says
    why a cell that one would expect is not there. Format 1 has no sizes of free axes.
    """

    format: Literal[1, 2] = 2
    measured_at: str
    quick: bool
    environment: Environment
    cells: tuple[CellSamples, ...]
    ratios: tuple[Ratio, ...]
    footprints: dict[str, Footprint] = {}
    seals: dict[str, str] = {}
    left_out: dict[str, str] = {}
