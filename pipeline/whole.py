"""How far work of several stages has come as a whole, and how long it still takes.

Stages tell a fraction, or nothing until they have ended; how long each takes is known from other runs only. So a stage
moves with the clock as far as it is expected to take, and the stages that have ended tell how much slower this run is.
"""

from __future__ import annotations

from collections.abc import Mapping

# So many seconds of the work as expected count beside what is seen: the first stages alone say little of the pace.
_EXPECTED_S = 10.0
_MOST_BY_CLOCK = 0.95  # of a stage that has not ended


class Whole:
    """How far work has come; times are seconds on one clock.

    Args:
        seconds: that each stage is expected to take, in the order in which they come. One may be left out.
        now: when the work begins.
    """

    def __init__(self, seconds: Mapping[str, float], now: float) -> None:
        self._seconds, self._order = dict(seconds), list(seconds)
        self._total = sum(self._seconds.values())
        self._begun = self._since = now
        self._stage, self._told, self._most = "", 0.0, 0.0
        self._expected = 0.0  # seconds of the current stage, at the pace of those before it

    def tell(self, stage: str, fraction: float, now: float) -> None:
        """A stage has come so far; those before it have ended. Others than are expected don't count."""
        if stage not in self._seconds:
            return
        if not self._stage or self._order.index(stage) > self._order.index(self._stage):
            self._expected = self._seconds[stage] * self._pace(self._before(stage), now)
            self._stage, self._told, self._since = stage, fraction, now
        elif stage == self._stage:
            self._told = max(self._told, fraction)

    def fraction(self, now: float) -> float:
        """The share that is done; it never goes back."""
        self._most = max(self._most, self._done(now) / self._total)
        return self._most

    def remaining(self, now: float) -> float:
        """Seconds until the end, at the pace so far."""
        done = self._done(now)
        return (self._total - done) * self._pace(done, now)

    def _before(self, stage: str) -> float:
        return sum(self._seconds[name] for name in self._order[: self._order.index(stage)])

    def _done(self, now: float) -> float:
        """Expected seconds that are done."""
        if not self._stage:
            return 0.0
        by_clock = min(_MOST_BY_CLOCK, (now - self._since) / self._expected)
        return self._before(self._stage) + max(self._told, by_clock) * self._seconds[self._stage]

    def _pace(self, done: float, now: float) -> float:
        """How many times as long as expected it takes."""
        return (now - self._begun + _EXPECTED_S) / (done + _EXPECTED_S)
