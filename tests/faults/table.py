"""The table of faults: each put into each model it fits, and the checks that caught it.

    python -m tests.faults.table [names...] [--sample N --seed S] [--effort quick|standard|thorough]

Names are those of the built-in models (untrained), of the zoo and of real models. Prints a line for each fault with how
often it was planted and caught, and by which checks. Below stand the faults that were not: excused, with their size,
where they move answers by less than float32's own error, else missed. The exit status is 1 if one was missed; at quick
effort, which promises less, misses are printed alone.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx

from pipeline import bundle
from pipeline.errors import PipelineError
from pipeline.oracle.asking import kept
from pipeline.records import Check, Effort, Verdict
from pipeline.verify import onnx_half
from pipeline.verify.verdict import verify_directory
from tests.faults import bundle_faults, onnx_faults

# Of the zoo, so that every fault fits one at least.
CHOSEN = (
    "every_normalisation",  # epsilons, in nodes and in sums; several outputs
    "heads_over_a_pyramid",  # strided convolutions of padding "same"
    "image_triplet",  # batch normalisation
    "masked_encoder_decoder",
    "mask_through_layers_without_time",
    "gaps_in_between",  # masks of any pattern, every kind of recurrent layer
    "rows_without_a_valid_step",
    "masked_rows_under_a_bias",  # decided by exact zeros
    "gru_with_every_output",  # outputs of one shape
    "judged_real_and_made",  # leaky relu
    "attention_block_twice",  # a mask of attention
    "one_dense_five_times_in_a_row",  # a square kernel
    "tied_by_a_reversible_embedding",
    "lstm_states_from_a_projection",
)
_ALL = {*onnx_faults.FAULTS, *bundle_faults.FAULTS}
MERGED = {words for words in _ALL if "merged" in words}  # tried on a model in which two weights are equal


@dataclass(frozen=True)
class Tried:
    """One fault in one model, and the checks that failed on it.

    `moved` is how far a fault that none failed on moves answers: 1 is as far as two right ones lie (`excuses.py`).
    """

    fault: str
    model: str
    caught_by: tuple[str, ...]
    moved: float = math.inf

    @property
    def is_excused(self) -> bool:
        """Whether nobody could tell: the answers are as good as before."""
        return not self.caught_by and self.moved <= 1

    @property
    def is_missed(self) -> bool:
        """Whether a check should have failed."""
        return not self.caught_by and not self.is_excused


def main(arguments: list[str]) -> int:
    """Try, print, and say by the exit status whether every fault was caught."""
    from tests.faults.subjects import BUILT_IN  # wakes TensorFlow
    from tests.zoo import REFUSED, ZOO

    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table")
    parser.add_argument(
        "names", nargs="*", help="models (default: the built-in ones and a choice that every fault fits)"
    )
    parser.add_argument("--sample", type=int, help="so many models of the whole zoo, drawn by --seed, beside the names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", choices=get_args(Effort), default="standard", help="of the exports (%(default)s)")
    options = parser.parse_args(arguments)
    names = options.names or [*BUILT_IN, *CHOSEN]
    if options.sample is not None:
        zoo = [name for name in ZOO if name not in REFUSED]
        names = [*options.names, *random.Random(options.seed).sample(zoo, options.sample)]
    tried: list[Tried] = []
    for number, name in enumerate(names, start=1):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, kept():
            tried += in_model(name, Path(folder), options.effort)
        print(f"{number} of {len(names)}: {name}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(rendered(tried))
    is_whole = not options.names and options.sample is None
    untried = sorted(_ALL - {each.fault for each in tried}) if is_whole else []
    for fault in untried:
        print(f"fits no model: {fault}")
    print(counted(tried))
    is_missed = options.effort != "quick" and any(each.is_missed for each in tried)
    return int(bool(untried) or is_missed)


def in_model(name: str, folder: Path, effort: Effort = "standard") -> Iterator[Tried]:
    """Every fault that fits a model, exported into an empty folder."""
    import pipeline
    from tests.faults.subjects import built

    model = built(name)
    _without_constants(model)
    options = pipeline.ExportOptions(formats=("onnx",), effort=effort)
    sound, equal = folder / "sound", folder / "equal"
    try:
        pipeline.export_bundle(model, sound, options=options)
        yield from _in_file(name, model, sound, folder / "spoilt", MERGED)
        yield from _in_bundle(name, sound, folder, MERGED)
        if _with_two_equal_weights(model):
            pipeline.export_bundle(model, equal, options=options)
            yield from _in_file(name, model, equal, folder / "spoilt", _ALL - MERGED)
            yield from _in_bundle(name, equal, folder, _ALL - MERGED)
    except PipelineError as refusal:
        print(f"{name} is not exported: {refusal}", file=sys.stderr)


def _without_constants(model: Any) -> None:
    """Give weights that a fresh model has at one value (a bias of zeros) seeded ones near it: a lost one shows."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = np.asarray(weight)
        if "float" in str(weight.dtype) and value.size > 1 and np.ptp(value) == 0:
            weight.assign(value + np.abs(rng.normal(scale=0.2, size=value.shape)))


def _with_two_equal_weights(model: Any) -> bool:
    """Set one of two weights of one shape to the other's values, if there are two."""
    weights = [weight for weight in model.weights if "float" in str(weight.dtype)]
    for index, one in enumerate(weights):
        for other in weights[index + 1 :]:
            if tuple(one.shape) == tuple(other.shape) and one.dtype == other.dtype:
                other.assign(one)
                return True
    return False


def _in_file(name: str, model: Any, sound: Path, spoilt: Path, left_out: set[str]) -> Iterator[Tried]:
    """Faults of an exporter: no hash gives them away."""
    from tests.faults.excuses import Fresh  # wakes TensorFlow

    spoilt.mkdir(exist_ok=True)
    (spoilt / bundle.SAMPLES).write_bytes((sound / bundle.SAMPLES).read_bytes())
    (spoilt / bundle.TRUTH).write_text(bundle.read_truth(sound).model_dump_json())
    (spoilt / "fresh").mkdir(exist_ok=True)
    fresh = Fresh(model, spoilt / "fresh")
    for words, put in onnx_faults.FAULTS.items():
        proto = onnx.load(sound / bundle.ONNX_FILE)
        if words in left_out or not put(proto):
            continue
        (spoilt / bundle.ONNX_FILE).write_bytes(proto.SerializeToString())
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            caught_by = _failed(onnx_half.verify(spoilt / bundle.ONNX_FILE, spoilt))
        moved = math.inf
        if not caught_by and words not in onnx_faults.OF_FORM:
            moved = _moved(words, fresh, onnx.load(sound / bundle.ONNX_FILE), proto)
        yield Tried(words, name, caught_by, moved)


def _moved(words: str, fresh: Any, sound: onnx.ModelProto, spoilt: onnx.ModelProto) -> float:
    pair = onnx_faults.swappable(sound) if words == "inputs swapped" else None
    in_files: float = fresh.moved_in_files(sound, spoilt)
    return in_files if pair is None else max(in_files, fresh.moved_by_swapping(pair))


def _in_bundle(name: str, sound: Path, folder: Path, left_out: set[str]) -> Iterator[Tried]:
    """Faults of a disk or a person."""
    for words, put in bundle_faults.FAULTS.items():
        if words in left_out:
            continue
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
    """A line for each fault, and below one for each that was not caught."""
    width = max((len(each.fault) for each in tried), default=5)
    lines = [f"{'fault':{width}}  planted  caught  by"]
    for fault in dict.fromkeys(each.fault for each in tried):
        own = [each for each in tried if each.fault == fault]
        caught = [each for each in own if each.caught_by]
        by = Counter(check for each in caught for check in set(each.caught_by))
        checks = ", ".join(f"{check} ({count})" for check, count in sorted(by.items(), key=lambda i: (-i[1], i[0])))
        lines.append(f"{fault:{width}}  {len(own):7}  {len(caught):6}  {checks}")
    lines.append("")
    for each in tried:
        if not each.caught_by:
            word = "excused" if each.is_excused else "MISSED"
            lines.append(f"{word}: {each.fault}, in {each.model}: {_size(each)}")
    return "\n".join(lines)


def _size(tried: Tried) -> str:
    if math.isinf(tried.moved):
        return "nothing excuses it"
    return f"on inputs that no check used it moves answers by {tried.moved:.2g} of what two right ones differ by"


def counted(tried: list[Tried]) -> str:
    """The last line."""
    excused = [each for each in tried if each.is_excused]
    listed = Counter(each.fault for each in excused)
    names = ", ".join(f"{fault} ({count})" if count > 1 else fault for fault, count in listed.items())
    caught = sum(bool(each.caught_by) for each in tried)
    missed = sum(each.is_missed for each in tried)
    told = f"{len(excused)} excused{f' ({names})' if names else ''}"
    models = len({each.model for each in tried})
    return f"faults: {len(tried)} planted in {models} models, {caught} caught, {told}, {missed} missed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
