"""What Keras says is right."""

from __future__ import annotations

from typing import Literal

from pipeline.records.base import Count, Effort, Number, Record, Size
from pipeline.records.signature import FileDigest, Signature

# Kinds of cases that are reported and not judged: Keras differs from itself there, compiled and not.
REPORTED_KINDS = ("not a number", "infinite", "denormal")
# The kinds of cases with other weights than the model's own, and their keys: each kind has a budget of its own, so that
# none widens another's.
RANDOM_WEIGHTS, RANDOM_WEIGHTS_KEY = "random weights", "random_weights"
ROUND, ROUND_KEY = "shared weights moved, round {}", "round{}"


class Case(Record):
    """One frozen input. In samples.npz: `<key>/in/<input>`, `<key>/f32/<output>` and `<key>/f64/<output>`.

    In place of a large answer are the parts that tell of it (`subsets.Reduced`): `<key>/f64.<part>/<output>`. Beside
    them lie `<key>/open/<output>`, a bit for each element that floating-point numbers leave open, where there are any,
    and `<key>/noise/<output>`, what noise moves each feature by, where features have unlike scales.

    `kind` says how its inputs were drawn (`cases`), or `real`; the cases of one kind have one budget for each output.
    Inputs of a case with `inputs_sha256` are not stored: they are drawn again, and must have that digest; those of a
    case with `inputs_of` are that other case's.

    Before a case with `weights` was answered, those were moved together, each by the seed that
    `seed_of` makes of its name and `weight_seed`; and before that, in a case with `random_seed`, every floating-point
    weight of the model by that one, times `random_gain` where it has two axes or more (`weight_map/perturb.py`). A case
    of format 1 has one `weight` (`weight_values.perturbed`).

    Free axes of a case of kind `longest` are `longest_times` the shortest.
    """

    key: str
    kind: str
    batch: Count
    seed: Size | None = None
    inputs_sha256: str | None = None
    inputs_of: str | None = None
    weight: str | None = None
    weight_seed: Size = 0
    weights: tuple[str, ...] = ()
    random_seed: Size | None = None
    random_gain: float = 1.0
    longest_times: Count = 16

    @property
    def is_moved(self) -> bool:
        """Whether it was answered with other weights than the model's own."""
        return self.weight is not None or bool(self.weights) or self.random_seed is not None

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


class Plan(Record):
    """What an export meant to ask, worked out from the model's graph before anything ran.

    `effort` was asked for. `batches` are the sizes of random cases, `kind_batch` that of every other kind,
    `round_batch` that of each round of moved weights, of which there are `rounds`; so many weights that they ask are
    `shared`, and `base_cases` are those with random weights, which rounds are asked on. The case of long axes has
    `longest_batch` rows (None: `kind_batch`), and axes `longest_times` the shortest. `operations` and `elements` count
    one row through the model: arithmetic operations, and elements that come out of operations; `row_bytes` is the
    memory that a row of it needs in float64. `cost` is what it all amounts to, in seconds of an imaginary machine, and
    `affordable` what it may come to where effort is `standard`; `fixed` is what an export takes beside, however little
    it asks: `traces`, `processes` that load TensorFlow, and `weights` that are copied, written and read. `thinned` says
    what is less than a thorough export asks, and why.
    """

    effort: Effort
    batches: tuple[Count, ...]
    kind_batch: Count
    round_batch: Count
    longest_batch: Count | None = None
    longest_times: Count = 16
    rounds: Count
    shared: Count
    base_cases: Count = 0
    operations: float
    elements: float
    row_bytes: Size
    cost: float
    affordable: float | None = None
    fixed: dict[str, float] = {}
    thinned: tuple[str, ...] = ()


class Truth(Record):
    """What Keras says is right, frozen before anything is exported.

    The reference is the float64 answer where a float64 clone could be made, else float32 (`no_float64` says why).
    `generator` is the version of what drew the cases. `weights` has the digest of each weight that the model had then
    (`weight_values.digest_of`), by its name in the weight map, and `shared` names those that several call sites read.
    `notes` tells where Keras differs from itself,
    `not_judged` what was to be asked and gave no answer, with the reason, and `not_asked` of each kind of case that the
    signature asks for and that is not there, why. Format 1 has no plan, nor noise by feature, and moves one weight at a
    time.
    """

    format: Literal[1, 2] = 2
    signature: Signature
    cases: tuple[Case, ...]
    budgets: tuple[Budget, ...]
    weights: dict[str, str] = {}
    shared: tuple[str, ...] = ()
    generator: int = 0
    no_float64: str | None = None
    notes: tuple[str, ...] = ()
    not_asked: dict[str, str] = {}
    plan: Plan | None = None
    not_judged: tuple[str, ...] = ()
    samples: FileDigest

    @property
    def not_asked_lines(self) -> tuple[str, ...]:
        """A sentence for each kind that was not asked, but for those of which `not_judged` tells."""
        kinds = self.not_asked.items()
        return tuple(f"no case of kind {kind!r}: {why}" for kind, why in kinds if why not in self.not_judged)

    def budget(self, output: str, kind: str) -> Budget | None:
        """The budget of an output in the cases of a kind; None if the record has none."""
        return next((each for each in self.budgets if (each.output, each.kind) == (output, kind)), None)
