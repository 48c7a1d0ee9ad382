"""One piece of work on one model in this process, which is a fresh one: `python -m benchmarks.real.once WORK ...`.

What is timed is the call: TensorFlow is loaded and the model built, and for Keras' export called on data, before.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.real import stages
from benchmarks.real.catalogue import NAMES, RealModel, build, named
from benchmarks.real.records import Work
from pipeline.errors import one_line
from pipeline.quiet import load_tensorflow
from pipeline.store import write_record

if TYPE_CHECKING:
    import keras

EXPORT, PEER, VERIFY, LOAD = "export", "model.export", "verify", "load"
BUNDLE, PEER_FILE, EVENTS = "bundle", "peer.onnx", "stages.jsonl"
FAILED = "failed: "  # before the reason, in the process's last line


def result_file(folder: Path, work: str) -> Path:
    """Where the record of a piece of work goes."""
    return folder / f"{work}.json"


def main(arguments: list[str]) -> int:
    """Do the work and leave its record; 1, the reason in the last line, where it raises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real.once", description=__doc__)
    parser.add_argument("work", choices=tuple(_WORK))
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("folder", type=Path, help="where files go, and those of earlier work lie")
    options = parser.parse_args(arguments)
    try:
        done = _WORK[options.work](named(options.model), options.folder)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a peer fails in any way it likes, and we may too
        print(f"{FAILED}{type(error).__name__}: {one_line(error)}", file=sys.stderr)
        return 1
    write_record(result_file(options.folder, options.work), done)
    return 0


def _export(model: RealModel, folder: Path) -> Work:
    """Our whole export at default options."""
    import pipeline

    built = _built(model)
    with stages.noted(folder / EVENTS):
        seconds = _timed(lambda: pipeline.export_bundle(built, folder / BUNDLE, name=model.name))
    return Work(seconds=seconds, weight_bytes=_weight_bytes(built))


def _export_by_keras(model: RealModel, folder: Path) -> Work:
    """Keras' own export at its defaults."""
    built = _built(model)
    built(_data(built, model.free), training=False)  # it refuses a model that was never called
    path = folder / PEER_FILE
    seconds = _timed(lambda: built.export(path, format="onnx", verbose=False))
    if not path.is_file():
        raise FileNotFoundError("it wrote nothing")
    return Work(seconds=seconds, weight_bytes=_weight_bytes(built))


def _verify(model: RealModel, folder: Path) -> Work:
    """The verdict on our bundle, as whoever receives it repeats it."""
    import pipeline

    start = time.perf_counter()
    verdict = pipeline.verify_bundle(folder / BUNDLE)
    seconds = time.perf_counter() - start
    failed = [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]
    detail = "; ".join(failed) if failed else "" if verdict.passed else "nothing was checked"
    return Work(seconds=seconds, detail=detail, not_judged=verdict.not_judged)


def _load(_: RealModel, folder: Path) -> Work:
    """Whether onnxruntime loads the peer's file: it may abort, so nothing else happens here."""
    import onnxruntime

    path = str(folder / PEER_FILE)
    return Work(seconds=_timed(lambda: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])))


_WORK: dict[str, Callable[[RealModel, Path], Work]] = {
    EXPORT: _export,
    PEER: _export_by_keras,
    VERIFY: _verify,
    LOAD: _load,
}


def _built(model: RealModel) -> keras.Model:
    load_tensorflow()
    return build(model)


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _data(model: keras.Model, free: int) -> Any:
    """Ones for every input, as the model takes them: one sample, free axes of this size."""
    import keras
    import numpy as np

    def ones(tensor: keras.KerasTensor) -> np.ndarray:
        shape = [1, *(free if size is None else size for size in tensor.shape[1:])]
        return np.ones(shape, tensor.dtype)

    return keras.tree.map_structure(ones, model.input)


def _weight_bytes(model: keras.Model) -> int:
    """Bytes of all weights, each variable once."""
    import numpy as np

    return sum(int(np.prod(each.shape)) * np.dtype(each.dtype).itemsize for each in model.weights)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
