"""What a measuring process does with a maker's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.files import fed
from pipeline import bundle, cases
from pipeline.bench.onnxruntime_subject import session
from pipeline.bench.subjects import INPUT_SEED, Work
from pipeline.records import Subject


def open_subject(subject: Subject) -> Callable[[], Work]:
    """A session on seeded inputs, the same for every maker; its file lies beside the truth of its model.

    Raises:
        BadInput: if the file can't be loaded.
    """
    path = Path(subject.path)
    feed = cases.generate(bundle.read_truth(path.parent).signature, subject.batch, INPUT_SEED)

    def opened() -> Work:
        loaded = session(path, subject.device)
        own = fed(loaded, feed)
        parameters = 0  # a peer's file does not say, and no figure here asks
        return Work(lambda: loaded.run(None, own), loaded.get_providers()[0], parameters, path.stat().st_size)

    return opened
