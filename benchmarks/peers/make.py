"""The files of some models, in a process of its own: a peer may end it.

    python -m benchmarks.peers.make FOLDER model...

Each model gets a folder in FOLDER; `made.json` in it is written last and says which makers have no file, and why.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pipeline.quiet import load_tensorflow

MADE = "made.json"


def main(root: Path, names: list[str]) -> None:
    """Make every file anew."""
    load_tensorflow()
    from benchmarks.peers import makers, models  # after TensorFlow, which they import loudly

    for name in names:
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        no_file = makers.make_all(models.build(name), folder)
        (folder / MADE).write_text(json.dumps(no_file, indent=1), encoding="utf-8")
        print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
