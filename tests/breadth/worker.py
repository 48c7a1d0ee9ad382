"""Examples judged in a process of its own: a JSON line an example, so that a death costs one example only.

python -m tests.breadth.worker names...
"""

from __future__ import annotations

import json
import resource
import sys
import warnings

from tests.breadth.judging import Outcome, judged, told
from tests.breadth.registry import EXAMPLES

LINE = "breadth: "
SEED = 0
MOST_BYTES = 16 * 2**30  # of address space, most of which TensorFlow asks for and does not use


def outcome(name: str) -> Outcome:
    """What becomes of an example."""
    example = EXAMPLES[name]
    try:
        model = example.model()
    except Exception as error:  # noqa: BLE001 - what Keras does not build has no right answer
        return Outcome("not run", told(error))
    return judged(model, example.arrays(SEED))


def main(names: list[str]) -> None:
    """Judge the examples named."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for name in names:
        _tell({"starts": name})
        found = outcome(name)
        _tell({"name": name, "word": found.word, "note": found.note})


def _tell(line: object) -> None:
    print(LINE + json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
