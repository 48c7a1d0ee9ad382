"""The table of faults: each put into each model it fits, and the checks that caught it.

    python -m tests.faults.table [names...] [--sample N --seed S]

Names are those of the built-in models (untrained) and of the zoo. Prints a line for each fault with how often it was
caught and by which check; below, every fault that was not. The exit status is 1 if there is one.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from pipeline import bundle
from pipeline.errors import PipelineError
from pipeline.records import Check, Verdict
from pipeline.verify import onnx_half
from pipeline.verify.verdict import verify_directory
from tests.faults import bundle_faults, onnx_faults

BUILT_IN = ("two_branch", "siamese", "seq2seq")


@dataclass(frozen=True)
class Tried:
    """One fault in one model, and the checks that failed on it."""

    fault: str
    model: str
    caught_by: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Try, print, and say by the exit status whether every fault was caught."""
    from tests.zoo import REFUSED, ZOO  # wakes TensorFlow

    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table")
    parser.add_argument("names", nargs="*", help="models (default: the built-in ones and the whole zoo)")
    parser.add_argument(
        "--sample", type=int, help="so many models of the zoo, drawn by --seed, beside the built-in ones"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    zoo = [name for name in ZOO if name not in REFUSED]
    if options.sample is not None:
        zoo = random.Random(options.seed).sample(zoo, options.sample)
    tried: list[Tried] = []
    for number, name in enumerate(options.names or [*BUILT_IN, *zoo], start=1):
        print(f"{number}: {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            tried += in_model(name, Path(folder))
    print(rendered(tried))
    return int(any(not each.caught_by for each in tried))


def in_model(name: str, folder: Path) -> Iterator[Tried]:
    """Every fault that fits a model, exported into an empty folder."""
    import pipeline
    from tests.zoo.subject import fresh_model

    model = pipeline.build(name) if name in BUILT_IN else fresh_model(name)
    sound = folder / "sound"
    try:
        pipeline.export_bundle(model, sound, options=pipeline.ExportOptions(formats=("onnx",)))
    except PipelineError as refusal:
        print(f"{name} is not exported: {refusal}", file=sys.stderr)
        return
    yield from _in_file(name, sound, folder)
    if name in BUILT_IN:
        yield from _in_bundle(name, sound, folder)


def _in_file(name: str, sound: Path, folder: Path) -> Iterator[Tried]:
    """Faults of an exporter: no hash gives them away."""
    for words, put in onnx_faults.FAULTS.items():
        model = onnx.load(sound / bundle.ONNX_FILE)
        if not put(model):
            continue
        spoilt = folder / "spoilt"
        spoilt.mkdir(exist_ok=True)
        (spoilt / bundle.ONNX_FILE).write_bytes(model.SerializeToString())
        (spoilt / bundle.SAMPLES).write_bytes((sound / bundle.SAMPLES).read_bytes())
        truth = bundle.read_truth(sound)
        (spoilt / bundle.TRUTH).write_text(truth.model_dump_json())
        yield Tried(words, name, _failed(onnx_half.verify(spoilt / bundle.ONNX_FILE, spoilt)))


def _in_bundle(name: str, sound: Path, folder: Path) -> Iterator[Tried]:
    """Faults of a disk or a person."""
    for words, put in bundle_faults.FAULTS.items():
        spoilt = folder / "bundle"
        shutil.rmtree(spoilt, ignore_errors=True)
        shutil.copytree(sound, spoilt)
        if put(spoilt):
            yield Tried(words, name, _failed(verify_directory(spoilt)))


def _failed(verdict: Verdict) -> tuple[str, ...]:
    return tuple(_kind(check) for check in verdict.checks if not check.passed)


def _kind(check: Check) -> str:
    """The name of a check without the output or the file that it is about."""
    words = check.name.split(" ")
    return " ".join("..." if word.startswith(("'", '"')) or "/" in word or "." in word[:-1] else word for word in words)


def rendered(tried: list[Tried]) -> str:
    """A line for each fault, those that were not caught, and the counts."""
    width = max((len(each.fault) for each in tried), default=5)
    lines = [f"{'fault':{width}}  tried  caught  by"]
    for fault in dict.fromkeys(each.fault for each in tried):
        own = [each for each in tried if each.fault == fault]
        caught = [each for each in own if each.caught_by]
        by = Counter(check for each in caught for check in set(each.caught_by))
        checks = ", ".join(f"{check} ({count})" for check, count in by.most_common(3))
        lines.append(f"{fault:{width}}  {len(own):5}  {len(caught):6}  {checks}")
    missed = [f"not caught: {each.fault}, in {each.model}" for each in tried if not each.caught_by]
    counts = (
        f"{len(tried) - len(missed)} of {len(tried)} faults caught, in {len({each.model for each in tried})} models"
    )
    return "\n".join([*lines, "", *missed, *([""] if missed else []), counts])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
