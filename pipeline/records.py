"""The frozen, versioned records that cross a stage.

A record that lies on disk is one JSON file. It carries `format`, and a reader refuses a format or a field it does not
know. Shapes are tuples in which a free axis is its name: `("batch", 28, 28, 1)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

Size = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]  # what a file format or numpy can hold
Count = Annotated[int, Field(ge=0, le=1 << 31)]
Shape = tuple[Size | str, ...]
Variant = Literal["shared", "unshared", "batched"]
Format = Literal["onnx", "saved_model", "keras"]

# A figure may be NaN or infinite (a failed comparison is), which JSON can only carry as a string.
Number = Annotated[float, Field(strict=False)]


def _stop_at_first_error(schema: Any) -> None:
    """Let every sequence and mapping end at its first wrong item: a file of wrong items would fill the memory."""
    if isinstance(schema, dict):
        if schema.get("type") in ("tuple", "list", "dict"):
            schema["fail_fast"] = True
        for part in schema.values():
            _stop_at_first_error(part)
    elif isinstance(schema, list):
        for part in schema:
            _stop_at_first_error(part)


class Record(BaseModel):
    """A frozen value: compared by content, read strictly, written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _stop_at_first_error(schema)
        return schema


# --- what a model takes and gives ---------------------------------------------------------------------------------


class TensorSpec(Record):
    """One input or output: its Keras name, its shape with named free axes, its numpy dtype name."""

    name: str
    shape: Shape
    dtype: str

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits, free axes taken alone (axes of one name are compared by the caller)."""
        return len(shape) == len(self.shape) and all(
            isinstance(axis, str) or axis == size for axis, size in zip(self.shape, shape, strict=True)
        )


class InputSpec(TensorSpec):
    """An input, and what its values may be.

    `ids_below`: the values are ids in `[0, ids_below)`, because an embedding reads them.
    `is_masked`: zeros (ids) or zero rows (features) mean padding.
    """

    ids_below: Annotated[Size, Field(ge=1)] | None = None
    is_masked: bool = False


class Signature(Record):
    """The inputs and outputs of a model, in model order.

    `renamed` maps an output's own name to the one it got; `shortest_axis` is the smallest size of a free axis other
    than `batch` at which the model was seen to run.
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    renamed: dict[str, str] = {}
    shortest_axis: Count = 3


class FileDigest(Record):
    """What a file must be: sha256 in hexadecimal, size in bytes."""

    sha256: str
    size: int


# --- sharing ------------------------------------------------------------------------------------------------------


class Block(Record):
    """A box of an initializer that holds elements of a weight, as `numpy.lib.stride_tricks.as_strided` would read them.

    `initializer[start : start + shape] == as_strided(weight.ravel()[offset:], shape, strides)`, strides in elements.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]


class WeightPlacement(Record):
    """Where one Keras weight lies in the ONNX file, and which call sites read it.

    `initializer` is None for a weight that no node reads. Without `blocks` the initializer is the weight: same shape,
    same order. With them, everything outside the blocks of all weights in that initializer is zero.
    """

    weight: str
    shape: tuple[int, ...]
    dtype: str
    initializer: str | None
    blocks: tuple[Block, ...] = ()
    call_sites: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements of the Keras weight."""
        return int(np.prod(self.shape, dtype=np.int64))


# Under this key the metadata of an ONNX file carries its weight map.
WEIGHT_MAP_KEY = "shared_layers_weight_map"
# And under this one the opset that its nodes are of.
OPSET_KEY = "shared_layers_opset"


def weight_map_text(weight_map: Iterable[WeightPlacement]) -> str:
    """The weight map as the JSON text that an ONNX file carries."""
    return json.dumps([entry.model_dump(mode="json") for entry in weight_map], separators=(",", ":"))


class SharedLayer(Record):
    """A layer with two or more call sites, with the shape of its first input at each."""

    layer: str
    kind: str
    call_sites: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    parameters: int


class Parameters(Record):
    """Elements of all weights: `stored` of the model as it is, `unshared` with a copy for each call site."""

    stored: int
    unshared: int


class Description(Record):
    """What sharing there is in a model: the shared layers, the weights they save, and the graph as Mermaid text."""

    model: str
    call_sites: tuple[str, ...]
    shared_layers: tuple[SharedLayer, ...]
    parameters: Parameters
    mermaid: str

    def __str__(self) -> str:
        stored, unshared = self.parameters.stored, self.parameters.unshared
        lines = [f"{self.model}: {stored:,} parameters stored, {unshared:,} with a copy for each call site"]
        for shared in self.shared_layers:
            lines.append(
                f"  {shared.layer} ({shared.kind}): {shared.parameters:,} parameters, "
                f"{len(shared.call_sites)} call sites"
            )
            lines += [f"    {site} {shape}" for site, shape in zip(shared.call_sites, shared.input_shapes, strict=True)]
        return "\n".join(lines if self.shared_layers else [*lines, "  no layer is called at two places"])


# --- training -----------------------------------------------------------------------------------------------------


class TrainingRecord(Record):
    """What training one variant left in its folder beside the weights, written last."""

    format: Literal[1] = 1
    model: str
    variant: Variant
    source_sha256: str
    seed: int
    epochs: int
    seconds: float
    parameters: int
    metric: str | None
    value: Number | None
    threshold: float | None
    symmetry_error: Number | None = None
    weights: FileDigest

    @property
    def holds(self) -> bool:
        """Whether the held-out metric reached the task's threshold (a task without one always holds)."""
        return self.threshold is None or (self.value is not None and self.value >= self.threshold)

    def __str__(self) -> str:
        bar = "" if self.threshold is None else f" (the bar is {self.threshold:g})"
        judged = f"{self.metric} {self.value:.4f}{bar}" if self.value is not None else "no metric"
        return f"{self.model}, {self.variant}: {judged}, {self.epochs} epochs, {self.seconds:.0f} s"


# --- truth --------------------------------------------------------------------------------------------------------


# Kinds of cases that are reported and not judged: Keras differs from itself there, compiled and not.
REPORTED_KINDS = ("not a number", "infinite", "denormal")


class Case(Record):
    """One frozen input. In samples.npz: `<key>/in/<input>`, `<key>/f32/<output>` and `<key>/f64/<output>`.

    `kind` says how its inputs were drawn (`cases`), or `real`; the cases of one kind have one budget for each output.
    Inputs of a case with `inputs_sha256` are not stored: they are drawn again, and must have that digest; those of a
    case with `inputs_of` are that other case's. Before a case with `weight` was answered, that weight was perturbed
    (`weight_values.perturbed`) by `weight_seed`.
    """

    key: str
    kind: str
    batch: Count
    seed: Size | None = None
    inputs_sha256: str | None = None
    inputs_of: str | None = None
    weight: str | None = None
    weight_seed: Size = 0

    @property
    def is_reported(self) -> bool:
        """Whether answers to it are reported and not judged; it has no float64 answers then."""
        return self.kind in REPORTED_KINDS


class Budget(Record):
    """How far one output may lie from the reference in the cases of one kind, in each case by its own scale.

    `|x - reference| <= absolute + relative * max|reference|`. A `derived` budget follows from Keras' own float32 error,
    `keras`, and from what a unit of noise at every call site makes, `noise`, both relative to that scale, the largest
    over the kind's cases; a `stated` one, for want of a float64 reference,
    from a table (docs/verification.md has both). Integers and booleans have no budget: they must be equal.
    """

    output: str
    kind: str
    rule: Literal["derived", "stated"]
    absolute: float
    relative: float
    keras: Number = float("nan")
    noise: Number = float("nan")


class Truth(Record):
    """What Keras says is right, frozen before anything is exported.

    The reference is the float64 answer where a float64 clone could be made, else float32 (`no_float64` says why).
    `generator` is the version of what drew the cases. `weights` has the digest of each weight that the model had then
    (`weight_values.digest_of`), by its name in the weight map. `notes` tells where Keras differs from itself.
    """

    format: Literal[1] = 1
    signature: Signature
    cases: tuple[Case, ...]
    budgets: tuple[Budget, ...]
    weights: dict[str, str] = {}
    generator: int = 0
    no_float64: str | None = None
    notes: tuple[str, ...] = ()
    samples: FileDigest

    def budget(self, output: str, kind: str) -> Budget | None:
        """The budget of an output in the cases of a kind; None if the record has none."""
        return next((each for each in self.budgets if (each.output, each.kind) == (output, kind)), None)


# --- verdicts -----------------------------------------------------------------------------------------------------


class Spread(Record):
    """The largest of many errors, the one in the middle, and the one that 99 in 100 do not exceed."""

    largest: Number
    median: Number
    percentile_99: Number


class ErrorFigures(Record):
    """Errors of one output's finite elements against the reference.

    `absolute` in the output's own unit; `relative` to each element (0 where both are zero, infinite where only the
    reference is); `ulps` in units in the last place of the output's dtype at each element. `cosine` of the two outputs
    as vectors: 1 for equal ones, of zeros too.
    """

    absolute: Spread
    relative: Spread
    ulps: Spread
    cosine: Number
    elements: int


class ParityFigure(Record):
    """The error of one output of one artifact over all cases of one batch size, against the reference.

    All figures are those of the case, `case`, that is closest to its budget, or furthest past it.
    `largest_absolute` and `scale` (largest absolute value of the reference) are in the output's own unit;
    `budget` is what was allowed, by the rule `rule`, `keras` Keras' own float32 error on the same inputs. `errors` has
    the artifact's errors in full, `keras_errors` Keras' own; None where there was no answer to compare.
    """

    artifact: str
    output: str
    batch: int
    largest_absolute: Number
    scale: Number
    budget: Number
    keras: Number
    case: str = ""
    rule: str = ""
    errors: ErrorFigures | None = None
    keras_errors: ErrorFigures | None = None

    def __str__(self) -> str:
        figures = f"error {self.largest_absolute:.2e}, budget {self.budget:.2e}, scale {self.scale:.2e}"
        return f"{self.artifact} {self.output} batch {self.batch}: {figures}, Keras' own error {self.keras:.2e}"


class Check(Record):
    """One thing that was checked: what, whether it held, what was seen; `case` is the key of the case that tells."""

    name: str
    passed: bool
    detail: str = ""
    case: str = ""


class FirstDifference(Record):
    """The first call site, as Keras runs them, whose result in an ONNX file leaves its budget.

    `tensor` is the tensor of the file that comes closest to it; the figures are in the result's own unit: the largest
    error against the reference, the reference's largest value, what was allowed, and Keras' own float32 error.
    """

    call_site: str
    layer: str
    case: str
    tensor: str
    error: Number
    scale: Number
    budget: Number
    keras: Number

    def __str__(self) -> str:
        return (
            f"first differs at {self.call_site} ({self.layer}), in tensor {self.tensor!r}, case {self.case}: "
            f"error {self.error:.3g} of {self.budget:.3g} allowed, scale {self.scale:.3g}, "
            f"Keras' own error {self.keras:.3g}"
        )


class Verdict(Record):
    """The outcome of a verification; `print` shows it. `not_judged` names what could not be looked at, and why.

    `first_difference` is there where an ONNX file failed and the Keras model was at hand to search with.
    """

    subject: str
    checks: tuple[Check, ...]
    parity: tuple[ParityFigure, ...] = ()
    not_judged: tuple[str, ...] = ()
    first_difference: FirstDifference | None = None

    @property
    def passed(self) -> bool:
        """True only if something was checked and everything held."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {'passed' if self.passed else 'FAILED'}"]
        lines += [
            f"  {'ok  ' if c.passed else 'FAIL'} {c.name}{': ' + c.detail if c.detail else ''}" for c in self.checks
        ]
        lines += [f"  {self.first_difference}"] if self.first_difference is not None else []
        lines += [f"  not judged: {reason}" for reason in self.not_judged]
        lines += [f"  {figure}" for figure in self.parity]
        return "\n".join(lines)


class Failure(Record):
    """A failed verification: what shows it again, the case that tells most, and the versions that it was seen with."""

    subject: str
    command: str
    case: str
    versions: dict[str, str]
    verdict: Verdict


class InitializerUse(Record):
    """One stored initializer of an ONNX file: bytes, and the nodes that read it (subgraphs as `node/subgraph/...`)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    readers: tuple[str, ...]


class Duplicate(Record):
    """A stored tensor, of `size` bytes, that holds the elements of the tensor `of` again."""

    name: str
    of: str
    size: int
    is_transposed: bool


class AuditReport(Record):
    """What an ONNX file stores: `stored` bytes in all, each initializer, duplicates, and what nobody reads."""

    file: str
    stored: int
    initializers: tuple[InitializerUse, ...]
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def repeated(self) -> int:
        """Bytes that are stored again."""
        return sum(duplicate.size for duplicate in self.duplicates)

    @property
    def reused(self) -> int:
        """How many initializers several nodes read."""
        return sum(len(use.readers) > 1 for use in self.initializers)

    @property
    def unread(self) -> tuple[InitializerUse, ...]:
        """Initializers that no node reads."""
        return tuple(use for use in self.initializers if not use.readers)


# --- the bundle ---------------------------------------------------------------------------------------------------


class TaskMetric(Record):
    """A task's held-out figure for the exported model, and the bar it had to reach.

    `onnx` is the same figure as `model.onnx` answers; None without data or that file.
    """

    name: str
    value: float
    threshold: float | None
    onnx: float | None = None


class Manifest(Record):
    """`manifest.json` of a bundle, format 1. No clocks: what was timed lies in measurements.json.

    `loops` names the recurrent layers that are loops in `model.onnx`, each with the reason. `randomised` is the verdict
    on the same model with random weights, where some of its own hold one number throughout and would hide losses.
    `seal` is the sha256 of the file itself, 64 zeros standing for the seal: `bundle.write_manifest` fills it in.
    """

    format: Literal[1] = 1
    model: str
    variant: Variant
    signature: Signature
    opset: int
    versions: dict[str, str]
    parameters: Parameters
    shared_layers: tuple[SharedLayer, ...]
    weight_map: tuple[WeightPlacement, ...]
    metric: TaskMetric | None = None
    truth: Truth
    randomised: Verdict | None = None
    parity: tuple[ParityFigure, ...] = ()
    files: dict[str, FileDigest]
    left_out: dict[str, str] = {}
    loops: dict[str, str] = {}
    seal: str = ""


# --- measurement --------------------------------------------------------------------------------------------------


class Subject(Record):
    """What is timed: one variant of one model, in one runtime, doing one kind of work at one batch size.

    `variant` says what is compared within a cell: `shared` and `unshared`, or who made the file that is loaded.
    `path` is the artifact or the folder it is built from; `reference` the model reference, where a runtime needs code.
    """

    model: str
    variant: str
    work: Literal["inference", "training_step"]
    runtime: Literal["keras", "saved_model", "onnxruntime"]
    device: Literal["cpu", "gpu"]
    batch: int
    path: str
    reference: str | None = None

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
    why a cell that one would expect is not there.
    """

    format: Literal[1] = 1
    measured_at: str
    quick: bool
    environment: Environment
    cells: tuple[CellSamples, ...]
    ratios: tuple[Ratio, ...]
    footprints: dict[str, Footprint] = {}
    seals: dict[str, str] = {}
    left_out: dict[str, str] = {}


def versions(*distributions: str) -> dict[str, str]:
    """Versions of the installed ones among `distributions`, by distribution name."""
    from importlib import metadata

    found: dict[str, Any] = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
