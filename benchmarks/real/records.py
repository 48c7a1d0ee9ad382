"""What one run finds out."""

from __future__ import annotations

from pipeline.records import Environment, Number, Record


class Work(Record):
    """One piece of work in one fresh process, as that process tells it.

    `seconds` is the call's own time: TensorFlow was loaded and the model built before. `weight_bytes` is 0 where the
    process built no model. `detail` is what the work found: a failed check, nothing where all held.
    """

    seconds: Number
    weight_bytes: int = 0
    detail: str = ""
    not_judged: tuple[str, ...] = ()


class Side(Record):
    """One piece of work as seen from outside.

    `seconds` is NaN and `ended` the reason where it did not come to its end. `largest_bytes` is the peak resident set
    of the largest process of the tree, `tree_bytes` the most that all of them held at once. `stages_s`: seconds of each
    stage, those of an unfinished one too.
    """

    seconds: Number
    largest_bytes: int
    tree_bytes: int
    ended: str
    stages_s: dict[str, Number]
    work: Work | None


class Judged(Record):
    """What the verdict stands on, from the manifest.

    `rows` by the kind of each case; `kinds` of inputs; `rounds` in which weights were moved; how many weights are
    shared, and how many of them were moved; the rules of the budgets; the effort, and what it made less of.
    """

    rows: dict[str, int]
    kinds: int
    rounds: int
    shared_weights: int
    asked_weights: int
    rules: tuple[str, ...]
    effort: str
    thinned: tuple[str, ...]


class Row(Record):
    """One model. `load_error`: why onnxruntime does not load the peer's file. `verify` is None without a bundle."""

    model: str
    parameters: int
    ours: Side
    peer: Side
    load_error: str
    verify: Side | None
    judged: Judged

    @property
    def weight_bytes(self) -> int:
        """The bytes of all weights, by the side that told them; 4 a parameter where neither did."""
        told = [side.work.weight_bytes for side in (self.ours, self.peer) if side.work is not None]
        return next(iter(told), 4 * self.parameters)

    @property
    def peer_s(self) -> float | None:
        """Seconds of the peer's export; None where it died or its file does not load."""
        return None if self.peer.ended or self.load_error else self.peer.seconds


class Run(Record):
    """All rows of one run; `left_out`: why models are not in it."""

    measured_at: str
    environment: Environment
    limit_s: float
    limit_bytes: int
    rows: tuple[Row, ...]
    left_out: dict[str, str]
