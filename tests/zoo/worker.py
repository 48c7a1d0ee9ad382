"""One pass over some zoo models in a process of its own: a JSON line a model, so that a death costs one model only.

    python -m tests.zoo.worker PASS FOLDER names...

Each model has a folder in FOLDER, where the first pass leaves its export and the others find it.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from pipeline import bundle
from pipeline.errors import one_line
from pipeline.export.onnx_model import export_onnx
from pipeline.export.saved_model import export_saved_model
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.asking import kept
from tests.zoo import peer, served
from tests.zoo.points import POINTS
from tests.zoo.second_runtime import runs_in_openvino
from tests.zoo.subject import MODEL, OPSET, YES, Cell, Refusal, converts, export, fresh_model

Cells = dict[str, Cell]
LINE = "zoo: "


def first(name: str, folder: Path) -> Cells:
    """Export, and what the export tells by itself."""
    folder.mkdir()
    outcome = export(name, folder)
    cells = {"converts": converts(outcome)}
    if isinstance(outcome, Refusal) or not cells["converts"].holds:
        return cells
    cells |= {point: judge(outcome) for point, judge in POINTS.items()}
    # A file that does not run in the first runtime says nothing in the second, and may take the process with it.
    return cells | {"openvino": runs_in_openvino(outcome)} if cells["agrees"].holds else cells


def again(name: str, folder: Path) -> Cells:
    """The same bytes in a process with another hash seed; the SavedModel, for a later process to load."""
    model, signature = fresh_model(name), bundle.read_truth(folder).signature
    flat = flatten_labelled(model)
    export_onnx(flat, read(model), signature, OPSET).save(folder / "again.onnx")
    is_same = (folder / "again.onnx").read_bytes() == (folder / MODEL).read_bytes()
    same = YES if is_same else Cell(False, "two processes wrote different bytes")
    export_saved_model(flat.model, signature, folder / served.FOLDER)
    return {"bytes": same, "stored": served.stores_once(model, folder)}


PASSES: dict[str, Callable[[str, Path], Cells]] = {
    "first": first,
    "again": again,
    "peer": lambda name, folder: {"lean": peer.lean(name, folder)},
    "served": lambda _, folder: {"restored": served.restores(folder)},
}


def main(arguments: list[str]) -> None:
    """Run one pass over the models named."""
    what, root, *names = arguments
    warnings.simplefilter("ignore")
    with kept():
        for name in names:
            _tell({"starts": name})
            try:
                cells = PASSES[what](name, Path(root) / name)
            except Exception as error:  # noqa: BLE001 - whatever happens to one model, the others are looked at
                cells = {what: Cell(False, f"{type(error).__name__}: {one_line(error)}")}
            _tell({"name": name, "cells": {point: [found.holds, found.note] for point, found in cells.items()}})


def _tell(line: object) -> None:
    print(LINE + json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
