"""Truth frozen beside other work: who answers for Keras is another process, for which another core has time."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.oracle.freeze import Freezing
from pipeline.progress import Progress, advance, listening, stage
from pipeline.records import Truth

_LOOK_EVERY_S = 0.1
_STAGE = "truth"


class Beside:
    """A thread that freezes a truth; it is silent, and whoever waits for it shows how far it has come."""

    def __init__(self, freezing: Freezing, folder: Path, apart: Path | None) -> None:
        self._freezing, self._folder, self._apart = freezing, folder, apart
        self._fraction = 0.0
        self._truth: Truth | None = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()  # what this thread's rebuilt models leave is taken out again with the rest
        self._thread = threading.Thread(target=lambda: context.run(self._run), name="truth")
        self._thread.start()

    def _run(self) -> None:
        def tell(progress: Progress) -> None:
            self._fraction = progress.fraction

        try:
            with listening(tell, alone=True), stage(_STAGE):
                self._truth = self._freezing.to_disk(self._folder, self._apart)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error

    def truth(self) -> Truth:
        """The truth, once all is asked.

        Raises:
            BadInput: as `Freezing.to_disk` does.
        """
        with stage(_STAGE):
            while self._thread.is_alive():
                advance(self._fraction, 1.0)
                self._thread.join(_LOOK_EVERY_S)
        if self._error is not None:
            raise self._error
        assert self._truth is not None
        return self._truth

    def end(self) -> None:
        """End the thread, wherever it is."""
        if self._thread.is_alive():
            self._freezing.stop()
            self._thread.join()


@contextlib.contextmanager
def frozen_beside(freezing: Freezing, folder: Path, apart: Path | None) -> Iterator[Beside]:
    """Within this block a truth is frozen beside what else is done; the thread does not outlive the block.

    Args:
        freezing: what is asked.
        folder: an existing folder that `samples.npz` and `truth.json` are written to.
        apart: see `ask`.
    """
    beside = Beside(freezing, folder, apart)
    try:
        yield beside
    finally:
        beside.end()
