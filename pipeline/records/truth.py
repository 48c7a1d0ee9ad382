"""What Keras says is right."""

from __future__ import annotations

from typing import Literal

from pipeline.records.base import Count, Number, Record, Size
from pipeline.records.signature import FileDigest, Signature

# Kinds of cases that are reported and not judged: Keras differs from itself there, compiled and not.
REPORTED_KINDS = ("not a number", "infinite", "denormal")


class Case(Record):
    """One frozen input. In samples.npz: `<key>/in/<input>`, `<key>/f32/<output>` and `<key>/f64/<output>`.

    In place of a large answer are the parts that tell of it (`subsets.Reduced`): `<key>/f64.<part>/<output>`. Beside
    them lie `<key>/open/<output>`, a bit for each element that floating-point numbers leave open, where there are any,
    and `<key>/noise/<output>`, what noise moves each feature by, where features have unlike scales.

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

    def at(self, scale: float) -> float:
        """What is allowed in a case whose largest reference value is `scale`, in the output's own unit."""
        return self.absolute + self.relative * scale


class Truth(Record):
    """What Keras says is right, frozen before anything is exported.

    The reference is the float64 answer where a float64 clone could be made, else float32 (`no_float64` says why).
    `generator` is the version of what drew the cases. `weights` has the digest of each weight that the model had then
    (`weight_values.digest_of`), by its name in the weight map. `notes` tells where Keras differs from itself.
    `not_asked` says of each kind of case that the signature asks for and that is not there, why. Format 1 has no such
    word, nor noise by feature.
    """

    format: Literal[1, 2] = 2
    signature: Signature
    cases: tuple[Case, ...]
    budgets: tuple[Budget, ...]
    weights: dict[str, str] = {}
    generator: int = 0
    no_float64: str | None = None
    notes: tuple[str, ...] = ()
    not_asked: dict[str, str] = {}
    samples: FileDigest

    def budget(self, output: str, kind: str) -> Budget | None:
        """The budget of an output in the cases of a kind; None if the record has none."""
        return next((each for each in self.budgets if (each.output, each.kind) == (output, kind)), None)
