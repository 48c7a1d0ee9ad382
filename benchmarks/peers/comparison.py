"""From samples to ratios: each peer's time over ours, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import onnx

from benchmarks.peers.files import OURS, path_of
from pipeline.measure.statistics import ratio
from pipeline.records import CellSamples, Environment, Ratio, Record

# A cell loses where the fastest peer needs less than 1 / 1.03 of our time.
MARGIN = 1.03
# What native nodes are worth, at least, where a peer has a loop: at this batch size.
FOLD, FOLD_BATCH = 4.0, 1


class Comparison(Record):
    """One model at one batch size in onnxruntime: our median time a call, and `peer / ours` for each peer with a file.

    `is_same_graph`: the fastest peer's file holds the same operators as ours with the same attributes, each as often.
    """

    model: str
    batch: int
    ours_s: float
    ratios: dict[str, Ratio]
    is_same_graph: bool

    @property
    def fastest(self) -> str | None:
        """The fastest peer; None where no peer has a file that counts."""
        return min(self.ratios, key=lambda maker: self.ratios[maker].ratio, default=None)

    @property
    def loses(self) -> bool:
        """Whether the fastest peer, with another graph, is faster by more than the margin."""
        fastest = self.fastest
        return fastest is not None and not self.is_same_graph and self.ratios[fastest].ratio < 1 / MARGIN


class Comparisons(Record):
    """A whole run: its cells, and why a maker has no file of a model (`model/maker`)."""

    measured_at: str
    environment: Environment
    cells: tuple[Comparison, ...]
    no_file: dict[str, str]


def compare(cells: Iterable[CellSamples], root: Path) -> tuple[Comparison, ...]:
    """The comparison of every cell that holds a file of ours; the models' folders lie in `root`."""
    by_cell: dict[str, dict[str, CellSamples]] = {}
    for samples in cells:
        by_cell.setdefault(samples.subject.cell, {})[samples.subject.variant] = samples
    return tuple(_compared(found, root) for found in by_cell.values() if OURS in found)


def _compared(found: dict[str, CellSamples], root: Path) -> Comparison:
    ours = found[OURS]
    subject = ours.subject
    ratios = {maker: ratio(ours, samples) for maker, samples in found.items() if maker != OURS}
    bare = Comparison(
        model=subject.model, batch=subject.batch, ours_s=_median_s(ours), ratios=ratios, is_same_graph=False
    )
    if bare.fastest is None:
        return bare
    folder = root / subject.model
    same = _operators(path_of(folder, OURS)) == _operators(path_of(folder, bare.fastest))
    return bare.model_copy(update={"is_same_graph": same})


def _median_s(samples: CellSamples) -> float:
    everything = sorted(sample for process in samples.samples_s for sample in process)
    return everything[len(everything) // 2]


def _operators(path: Path) -> Counter[str]:
    return _of_graph(onnx.load(path, load_external_data=False).graph)


def _of_graph(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(f"{node.op_type} {sorted(map(_attribute, node.attribute))}" for node in graph.node)


def _attribute(attribute: onnx.AttributeProto) -> str:
    if attribute.HasField("g"):
        return f"{attribute.name}: {sorted(_of_graph(attribute.g).items())}"
    return str(attribute)
