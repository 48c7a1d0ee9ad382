"""What goes to a worker process and what comes back, as JSON files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol

from pydantic import Field, TypeAdapter

from pipeline.records import Environment, Footprint, Record, Subject

# How a worker says on stdout how far it is: `progress FRACTION WHAT`.
PROGRESS = "progress "
# How a worker says on stderr, as its last line, that it refuses: its exit status tells bad input from a failed check.
REFUSED = "refused: "


class Opened(Protocol):
    """A subject that is ready to run: what a worker needs to know of it.

    `run` does the work once and returns when the device is done. `device` is the one that is really used, `parameters`
    the number of stored weights' elements, `file_bytes` the size of what was loaded, `note` what a reader must know,
    `sizes` those of free axes where they are not the subject's.
    """

    @property
    def run(self) -> Callable[[], object]: ...  # noqa: D102

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def parameters(self) -> int: ...  # noqa: D102

    @property
    def file_bytes(self) -> int: ...  # noqa: D102

    @property
    def note(self) -> str: ...  # noqa: D102

    @property
    def sizes(self) -> dict[str, int] | None: ...  # noqa: D102


# A loader gets ready what is not the subject's own cost (its runtime's devices, its inputs); what it returns then loads
# the subject itself, and that is what a footprint counts.
Loader = Callable[[Subject], Callable[[], Opened]]


class TimingRequest(Record):
    """Time `subjects`, loaded in this order, in at most `rounds` rounds and about `budget_s` seconds.

    `least_sample_s`: a call that is shorter is repeated inside one sample until the sample takes that long.
    """

    kind: Literal["timing"] = "timing"
    loader: str
    subjects: tuple[Subject, ...]
    rounds: int
    warm_ups: int
    least_sample_s: float
    budget_s: float
    seed: str


class FootprintRequest(Record):
    """Take the footprint of one subject."""

    kind: Literal["footprint"] = "footprint"
    loader: str
    subject: Subject


class TrialRequest(Record):
    """See how long calls of `subjects` take, and what they need: each work at ascending batch sizes.

    A subject is not tried whose call would take longer than `most_call_s` seconds or need more than `most_bytes` of
    memory, by what a smaller batch took.
    """

    kind: Literal["trial"] = "trial"
    loader: str
    subjects: tuple[Subject, ...]
    most_call_s: float
    most_bytes: int


Request = TimingRequest | FootprintRequest | TrialRequest
REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


class TimedSubject(Record):
    """The samples of one subject in one process, seconds a call; each is the mean of `repeats` calls.

    `sizes` are those of free axes where they are not the subject's.
    """

    key: str
    device_used: str
    repeats: int
    samples_s: tuple[float, ...]
    note: str = ""
    sizes: dict[str, int] | None = None


class TimingResult(Record):
    """What a timing worker leaves."""

    kind: Literal["timing"] = "timing"
    environment: Environment
    timed: tuple[TimedSubject, ...]


class FootprintResult(Record):
    """What a footprint worker leaves."""

    kind: Literal["footprint"] = "footprint"
    environment: Environment
    footprint: Footprint


class Trial(Record):
    """What a few calls of one subject took: seconds until the first answer, loading included; seconds a call; memory.

    `call_bytes` is what its calls needed at the peak beside what the process held before them.
    """

    subject: Subject
    first_s: float
    call_s: float
    call_bytes: int


class TrialResult(Record):
    """What a worker leaves that has tried subjects."""

    kind: Literal["trial"] = "trial"
    trials: tuple[Trial, ...]
