"""The digest of `model.onnx` of every model of the zoo: a change of the house changes no byte of what it makes.

    python -m tests.zoo.digests [names...] > before.txt
    python -m tests.zoo.digests --against before.txt

The exit status is 1 if a digest differs from that of the file, or is missing there or here.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.faults.alarms import keep_answering

_JOBS = 2


def main(arguments: list[str]) -> int:
    """Export, print a line a model, and say by the exit status whether the digests are those of an earlier run."""
    from tests.zoo import REFUSED, ZOO  # wakes TensorFlow

    parser = argparse.ArgumentParser(prog="python -m tests.zoo.digests")
    parser.add_argument("names", nargs="*", help="models (default: all of the zoo that are exported)")
    parser.add_argument("--against", type=Path, help="what an earlier run printed")
    options = parser.parse_args(arguments)
    names = options.names or [name for name in ZOO if name not in REFUSED]
    earlier = None if options.against is None else dict(map(str.split, options.against.read_text().splitlines()))
    found: dict[str, str] = {}
    for name, digest in _digests(names):
        found[name] = digest
        print(name, digest, flush=True)
        print(f"{len(found)} of {len(names)}", file=sys.stderr, flush=True)
    if earlier is None:
        return 0
    wanted = earlier if not options.names else {name: earlier.get(name) for name in names}
    differing = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    print(f"{len(found)} models, {len(differing)} with other bytes: {', '.join(differing) or 'none'}", file=sys.stderr)
    return int(bool(differing))


def _digests(names: list[str]) -> Iterator[tuple[str, str]]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_JOBS, mp_context=context, initializer=keep_answering) as pool:
        yield from zip(names, pool.map(_digest, names), strict=True)


def _digest(name: str) -> str:
    from tests.zoo.subject import Refusal, export

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="digests-") as folder:
        outcome = export(name, Path(folder), effort="quick")
        if isinstance(outcome, Refusal):
            return "refused"
        files = sorted(Path(folder).glob("model.onnx*"))  # its external data too
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
