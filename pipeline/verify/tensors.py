"""Every tensor of an ONNX file for one frozen case, from a process of its own.

    python -P -m pipeline.verify.tensors --model FILE.onnx --truth FOLDER --case KEY --out TENSORS.npz

The runtime may end that process; what asks for the tensors lives on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from pipeline import bundle
from pipeline.audit import read_onnx
from pipeline.bundle import CaseArrays
from pipeline.folders import temporary_folder
from pipeline.verify import sharing
from pipeline.verify.overridable_weights import OverridableWeights
from pipeline.weight_map.perturb import Moving
from pipeline.workers.limits import Limits, free_memory
from pipeline.workers.run import Job, run

_LIMIT_S = 120.0


@dataclass(frozen=True)
class Tensors:
    """What one case gave: `answers` are the file's outputs as it is served, `inside` all tensors of its main graph.

    `inside` is empty where the runtime gave answers and would not show what is inside.
    """

    answers: dict[str, np.ndarray]
    inside: dict[str, np.ndarray]


def tensors_of(model: Path, truth_folder: Path, case: str, limit_s: float = _LIMIT_S) -> Tensors | None:
    """The tensors of a file for a frozen case, or None where the runtime gave none within `limit_s` seconds."""
    with temporary_folder("tensors") as folder:
        out = folder / "tensors.npz"
        options = ("--model", str(model), "--truth", str(truth_folder), "--case", case, "--out", str(out))
        run([Job(__name__, options, None, folder)], Limits(limit_s, free_memory()))
        if not out.is_file():
            return None
        with np.load(out, allow_pickle=False) as archive:
            groups: dict[str, dict[str, np.ndarray]] = {"answers": {}, "inside": {}}
            for number, name in enumerate(archive["names"].tolist()):
                group, _, tensor = name.partition("/")
                groups[group][tensor] = archive[str(number)]
    return Tensors(**groups)


def _write(out: Path, groups: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Any name may be that of a tensor: they go into an array of their own. The file appears once it is whole."""
    named = {f"{group}/{name}": array for group, arrays in groups.items() for name, array in arrays.items()}
    scratch = out.with_suffix(".part.npz")
    np.savez(
        scratch,
        names=np.array(list(named), dtype=np.str_),
        **{str(number): array for number, array in enumerate(named.values())},  # type: ignore[arg-type]
    )
    scratch.replace(out)


def main() -> int:
    """Run the case twice, as the file is served and with every tensor shown."""
    parser = argparse.ArgumentParser(description="Run one frozen case and show every tensor.")
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--truth", type=Path, required=True, help="a folder with the frozen truth")
    parser.add_argument("--case", required=True, help="its key")
    parser.add_argument("--out", type=Path, required=True, help="where the tensors go")
    options = parser.parse_args()
    truth = bundle.read_truth(options.truth)
    cases = bundle.read_cases(options.truth / bundle.SAMPLES, truth)
    case = next(case for case in cases if case.case.key == options.case)
    proto = read_onnx(options.model)
    answers = _run(proto, options.model.parent, case, is_optimised=True)
    _write(options.out, {"answers": answers})
    known = {value.name for value in proto.graph.output}
    made = [name for node in proto.graph.node for name in node.output if name and name not in known]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    inside = _run(proto, options.model.parent, case, is_optimised=False)
    _write(options.out, {"answers": answers, "inside": inside})
    return 0


def _run(proto: onnx.ModelProto, folder: Path, case: CaseArrays, *, is_optimised: bool) -> dict[str, np.ndarray]:
    """The outputs, with the case's weights moved if it asks for that and the file says where they lie."""
    weight_map = sharing.metadata_weight_map(proto) or ()
    moving = Moving(case.case)
    weights = {each.weight for each in weight_map if moving.moves(each.weight, each.dtype)}
    opened = OverridableWeights(proto, folder, weight_map, weights, is_optimised=is_optimised)
    extra = opened.feed(case.case)
    names = [value.name for value in opened.session.get_outputs()]
    taken = {value.name for value in opened.session.get_inputs()}
    feed = {name: array for name, array in case.inputs.items() if name in taken}
    found = opened.session.run(names, {**feed, **extra})
    return {name: value for name, value in zip(names, found, strict=True) if isinstance(value, np.ndarray)}


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(3)
    sys.exit(main())
