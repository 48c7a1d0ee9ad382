"""The outcome of a verification."""

from __future__ import annotations

from pipeline.records.base import Number, Record


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
    """One thing that was checked: what, whether it held, what was seen; `case` is the key of the case that tells.

    `weights` are those that a failed one tells of. Where `is_open` some of them are at fault, and it can't say which.
    """

    name: str
    passed: bool
    detail: str = ""
    case: str = ""
    weights: tuple[str, ...] = ()
    is_open: bool = False


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

    `first_difference` is there where an ONNX file failed and the Keras model was at hand to search with. `effort` is
    how much Keras was asked, `rule` what it is judged by: both are told first.
    """

    subject: str
    checks: tuple[Check, ...]
    parity: tuple[ParityFigure, ...] = ()
    not_judged: tuple[str, ...] = ()
    first_difference: FirstDifference | None = None
    effort: str = ""
    rule: str = ""

    @property
    def passed(self) -> bool:
        """True only if something was checked and everything held."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def head(self) -> str:
        """What is told first: the verdict, what it was judged by, what failed and what was not judged."""
        effort = f" (effort {self.effort})" if self.effort else ""
        lines = [f"{self.subject}: {'passed' if self.passed else 'FAILED'}{effort}"]
        lines += [f"  judged by {self.rule}"] if self.rule else []
        lines += [f"  FAIL {_told(check)}" for check in self.checks if not check.passed]
        lines += [f"  {self.first_difference}"] if self.first_difference is not None else []
        lines += [f"  not judged: {reason}" for reason in self.not_judged]
        return "\n".join(dict.fromkeys(lines))  # a model that is asked again may say the same

    def __str__(self) -> str:
        held = [f"  ok   {_told(check)}" for check in self.checks if check.passed]
        return "\n".join([self.head, *held, *(f"  {figure}" for figure in self.parity)])


def _told(check: Check) -> str:
    return f"{check.name}: {check.detail}" if check.detail else check.name


class Failure(Record):
    """A failed verification: what shows it again, the case that tells most, and the versions that it was seen with."""

    subject: str
    command: str
    case: str
    versions: dict[str, str]
    verdict: Verdict
