"""The bars that each model is held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.real.records import Row

GB = 1e9

# Whole export at default options, against Keras' own.
EXPORT_TIMES, EXPORT_S, EXPORT_AIM_S = 1.5, 60.0, 40.0
# Where Keras' own dies or its file does not load: so many seconds for up to so many parameters.
ALONE_S, ALONE_PARAMETERS = 300.0, 120_000_000
VERIFY_TIMES, VERIFY_S = 0.5, 10.0
# The largest process: bytes, and times the weights' bytes; of more than `LARGE_BYTES` of weights fewer times.
MEMORY_BYTES, MEMORY_TIMES, LARGE_BYTES, LARGE_TIMES = 2 * GB, 8, 2 * GB, 3

IN_WORDS = (
    f"export: at most {EXPORT_TIMES:g} x model.export + {EXPORT_S:g} s (aim + {EXPORT_AIM_S:g} s); where that has no "
    f"file that loads: {ALONE_S:g} s, for up to {ALONE_PARAMETERS / 1e6:g} million parameters",
    f"memory: the largest process of export and verify holds at most {MEMORY_BYTES / GB:g} GB + {MEMORY_TIMES} x the "
    f"weights' bytes; of more than {LARGE_BYTES / GB:g} GB of weights {MEMORY_BYTES / GB:g} GB + {LARGE_TIMES} x",
    f"verify: at most {VERIFY_S:g} s + {VERIFY_TIMES:g} x model.export",
)


@dataclass(frozen=True)
class Bar:
    """What one model has to hold: seconds, or bytes where `in_bytes`. `aim` is what would be better still, if anything.

    What did not come to its end is found to be NaN, and does not hold.
    """

    name: str
    found: float
    allowed: float
    aim: float | None = None
    in_bytes: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is held."""
        return self.found <= self.allowed

    @property
    def holds_aim(self) -> bool:
        """Whether there is an aim and it is reached."""
        return self.aim is not None and self.found <= self.aim


def bars(row: Row) -> tuple[Bar, ...]:
    """The bars that bind a row, of `export`, `memory` and `verify`.

    Export is bound by the peer's time, without one by `ALONE_S` where there are few enough parameters; what did not
    come to its end misses it. Verify is bound by the peer's time alone.
    """
    return tuple(_bars(row))


def misses(row: Row, *, are_times_judged: bool = True) -> list[str]:
    """The names of what a row does not hold; a verdict that failed is one.

    Where times are not judged, an export that did not come to its end is missed all the same.
    """
    is_judged = are_times_judged or row.ours.ended
    missed = [bar.name for bar in bars(row) if not bar.holds and (is_judged or bar.in_bytes)]
    return [*missed, *([] if row.ours.ended or verdict(row) == "passed" else ["verdict"])]


def verdict(row: Row) -> str:
    """`passed`, `FAILED`, or `none` where there is no bundle or verifying it did not come to its end."""
    if row.verify is None or row.verify.work is None:
        return "none"
    return "FAILED" if row.verify.work.detail else "passed"


def _bars(row: Row) -> Iterator[Bar]:
    peer_s = row.peer_s
    if peer_s is not None:
        allowed = EXPORT_TIMES * peer_s
        yield Bar("export", row.ours.seconds, allowed + EXPORT_S, aim=allowed + EXPORT_AIM_S)
    elif row.parameters <= ALONE_PARAMETERS or row.ours.ended:
        yield Bar("export", row.ours.seconds, ALONE_S)
    memory = Bar("memory", _largest(row), _memory_allowed(row.weight_bytes), in_bytes=True)
    if not (row.ours.ended and memory.holds):  # what ended early shows no more than that it took too much
        yield memory
    if peer_s is not None and row.verify is not None:
        yield Bar("verify", row.verify.seconds, VERIFY_S + VERIFY_TIMES * peer_s)


def _largest(row: Row) -> float:
    """Our largest process, of the export and of the verdict on its bundle."""
    return float(max(side.largest_bytes for side in (row.ours, row.verify) if side is not None))


def _memory_allowed(weight_bytes: int) -> float:
    times = LARGE_TIMES if weight_bytes > LARGE_BYTES else MEMORY_TIMES
    return MEMORY_BYTES + times * weight_bytes
