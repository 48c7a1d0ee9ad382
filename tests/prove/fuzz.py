"""A fuzzer led by coverage, for one of those that read a bundle, its arrays and ONNX files.

    python -m tests.prove.fuzz TARGET FOLDER [libFuzzer's options]

TARGET is one of `tests.fuzzing.Readers`; FOLDER gets a bundle to work on, the corpus and `outcomes.json`. An exception
other than one clear `BadInput`, and what libFuzzer's options say of time and memory, end it with an error.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline"]):
    from tests.fuzzing import Readers, replaced

VALUES = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    0.5,
    float("nan"),
    "",
    "..",
    "/x",
    "batch",
    "int8",
    "a\nb",
    [],
    {},
    [0],
)
DEEPEST = 7


def main(target: str, folder: Path, options: list[str]) -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    readers = Readers(folder)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    (corpus / "seed").write_bytes(readers.seeds[target])
    outcomes = {"inputs": 0, "read": 0}

    def one(data: bytes) -> None:
        outcomes["inputs"] += 1
        outcomes["read"] += readers.targets[target](data)
        # libFuzzer leaves the process without a word to Python, so the counts are written down on the way.
        if outcomes["inputs"] % 100 == 0:
            (folder / "outcomes.json").write_text(json.dumps(outcomes))

    mutator = {"custom_mutator": of_json} if target.endswith("manifest") else {}
    atheris.Setup([sys.argv[0], str(corpus), *options], one, **mutator)
    atheris.Fuzz()


def of_json(data: bytes, max_size: int, seed: int) -> bytes:
    """The text with some of its values replaced, or with libFuzzer's accidents."""
    rng = random.Random(seed)
    try:
        document = json.loads(data) if rng.random() < 0.7 else None
    except (ValueError, RecursionError):
        document = None
    if document is None:
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(rng.randint(1, 3)):
        where = [rng.randrange(40) for _ in range(rng.randint(1, DEEPEST))]
        document = replaced(document, where, rng.choice(VALUES), rng.random() < 0.2)
    return json.dumps(document).encode()[:max_size]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
