"""How long writing `model.onnx` takes, ours and Keras' own, each in fresh processes by turns.

    python -m benchmarks.peers.export_time [models...] [--runs N]

What is timed: from a built model, TensorFlow loaded, to the file on disk, the converters' own imports included; ours
reads the model's signature too. Freezing truth and verifying are not part of it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.files import KERAS, OURS

# Bars: ours over Keras' own; and the seconds for one layer called `CALLS` times.
MOST_TIMES, MOST_S, CALLS = 1.3, 30.0, 200
MANY_CALLS = f"called_{CALLS}_times"
MODELS = ("two_branch", "siamese", "seq2seq", MANY_CALLS)
_RESULT = "seconds: "


def main(arguments: list[str]) -> int:
    """Measure and print; 1 where a model does not hold its bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.export_time")
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--runs", type=int, default=7, help="fresh processes for each (default: 7)")
    parser.add_argument("--once", choices=(OURS, KERAS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    models = options.models or list(MODELS)
    unknown = sorted(set(models) - set(MODELS))
    if unknown:
        parser.error(f"no model is called {', '.join(unknown)}")
    if options.once:
        print(f"{_RESULT}{_seconds(models[0], options.once):.6f}")
        return 0
    held = [_compared(model, options.runs) for model in models]
    return int(not all(held))


def _compared(model: str, runs: int) -> bool:
    """Time one model, print a line, and say whether it holds its bar."""
    taken: dict[str, list[float]] = {OURS: [], KERAS: []}
    for number in range(runs):
        for maker in (OURS, KERAS) if number % 2 == 0 else (KERAS, OURS):
            taken[maker].append(_in_a_fresh_process(model, maker))
    ratios = [ours / keras for ours, keras in zip(taken[OURS], taken[KERAS], strict=True)]
    ratio = statistics.median(ratios)
    ours, keras = (statistics.median(taken[maker]) for maker in (OURS, KERAS))
    holds = ours < MOST_S if model == MANY_CALLS else ratio <= MOST_TIMES
    bar = f"under {MOST_S:g} s" if model == MANY_CALLS else f"at most {MOST_TIMES:g}"
    print(
        f"{model:18}  ours {ours:.2f} s, {KERAS} {keras:.2f} s, ours / {KERAS} {ratio:.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {runs} pairs of processes); {bar}: {'yes' if holds else 'no'}",
        flush=True,
    )
    return holds


def _in_a_fresh_process(model: str, maker: str) -> float:
    command = [sys.executable, "-m", "benchmarks.peers.export_time", model, "--once", maker]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(_RESULT)]
    if done.returncode or not lines:
        sys.exit(f"error: {maker} did not export {model}:\n{done.stderr[-2000:]}")
    return float(lines[0].removeprefix(_RESULT))


def _seconds(model: str, maker: str) -> float:
    """Seconds from the model to its file, in this process."""
    from pipeline.quiet import load_tensorflow

    load_tensorflow()
    import keras
    import numpy as np

    import pipeline

    built = _many_calls() if model == MANY_CALLS else pipeline.build(model)
    ones = [np.ones([1 if size is None else size for size in each.shape], each.dtype) for each in built.inputs]
    built(keras.tree.pack_sequence_as(built._inputs_struct, ones))  # Keras refuses to export what was never called
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        start = time.perf_counter()
        if maker == KERAS:
            built.export(path, format="onnx", verbose=False)
        else:
            _export(built, path)
        seconds = time.perf_counter() - start
        return seconds if path.is_file() else math.nan


def _export(model: object, path: Path) -> None:
    from pipeline.export.onnx_model import export_onnx
    from pipeline.graph.flatten import flatten_labelled
    from pipeline.graph.read import read
    from pipeline.truth.signature import read_signature

    export_onnx(flatten_labelled(model), read(model), read_signature(model), 18).save(path)


def _many_calls() -> object:
    import keras
    from keras import layers

    dense = layers.Dense(8, activation="relu", name="dense")
    start = result = keras.Input((8,), name="x")
    for _ in range(CALLS):
        result = dense(result)
    return keras.Model(start, result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
