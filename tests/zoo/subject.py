"""One zoo model exported: what the points of the table look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import onnx

from pipeline.errors import PipelineError
from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.oracle.freeze import freeze
from pipeline.records import Effort, Truth, Verdict, WeightPlacement
from pipeline.verify import onnx_half
from tests.zoo import EITHER, REFUSED, ZOO

OPSET = 18
MODEL = "model.onnx"


@dataclass(frozen=True)
class Cell:
    """Whether a point holds for a model (None: it does not apply), and what was seen where it does not."""

    holds: bool | None
    note: str = ""

    @property
    def word(self) -> str:
        """What the table shows."""
        return "-" if self.holds is None else "yes" if self.holds else "no"


YES, DOES_NOT_APPLY = Cell(True), Cell(None)


def cell(faults: list[str]) -> Cell:
    """No with what is wrong, or yes if nothing is."""
    return Cell(False, "; ".join(faults)) if faults else YES


@dataclass(frozen=True)
class Subject:
    """A model, and what its export left in `folder`: `model.onnx`, `truth.json`, `samples.npz`."""

    name: str
    model: keras.Model
    folder: Path
    truth: Truth
    weight_map: tuple[WeightPlacement, ...]
    loops: dict[str, str]

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL

    @cached_property
    def proto(self) -> onnx.ModelProto:
        """The file as it lies on disk."""
        return onnx.load(self.path)

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict of the ONNX half, given in this process."""
        return onnx_half.verify(self.path, self.folder)

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """Every node, those of subgraphs included."""
        return all_nodes(self.proto.graph)


@dataclass(frozen=True)
class Refusal:
    """The one line with which a model was refused."""

    name: str
    line: str

    @property
    def cell(self) -> Cell:
        """Whether that was expected, in these words."""
        words = REFUSED.get(self.name) or EITHER.get(self.name)
        if words is None:
            return Cell(False, self.line)
        return cell([f"the refusal does not say {word!r}: {self.line}" for word in words if word not in self.line])


def fresh_model(name: str) -> keras.Model:
    """The model as a new process would build it: automatic names count from the start again."""
    keras.utils.clear_session(free_memory=False)
    return ZOO[name]()


def export(name: str, folder: Path, effort: Effort = "standard") -> Subject | Refusal:
    """Build, freeze and export one model into an existing folder."""
    model = fresh_model(name)
    try:
        truth = freeze(model, folder, effort=effort)
        exported = export_onnx(flatten_labelled(model), read(model), truth.signature, OPSET)
    except PipelineError as refusal:
        return Refusal(name, str(refusal))
    exported.save(folder / MODEL)
    return Subject(name, model, folder, truth, exported.weight_map, exported.loops)


def converts(outcome: Subject | Refusal) -> Cell:
    """It converts, or is refused where that is expected, in the words expected."""
    if isinstance(outcome, Refusal):
        return outcome.cell
    return Cell(False, "it was exported and should have been refused") if outcome.name in REFUSED else YES


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph and its subgraphs."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from all_nodes(subgraph)
