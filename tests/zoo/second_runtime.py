"""The same file in OpenVINO: what agrees in one runtime alone may lean on that runtime."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import onnx

from pipeline import bundle
from pipeline.errors import one_line
from pipeline.verify.behaviour import plain
from pipeline.verify.parity import ArtifactRefused, judge
from tests.zoo.points import has_recurrent_layers_or_masks
from tests.zoo.subject import DOES_NOT_APPLY, Cell, Subject, cell

# Its recurrent operators have tanh, sigmoid, relu and hard sigmoid.
_UNKNOWN = "Unknown activation function"


def runs_in_openvino(subject: Subject) -> Cell:
    """Recurrent and masked models agree with the frozen truth in OpenVINO too."""
    if not has_recurrent_layers_or_masks(subject.model) or _is_in_float64(subject):
        return DOES_NOT_APPLY
    if find_spec("openvino") is None:
        return Cell(False, "openvino is not installed")
    import openvino

    core = openvino.Core()
    try:
        network = core.read_model(str(subject.path))
    except RuntimeError as error:
        return Cell(False, one_line(error))

    def run(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            # With free axes it runs every step of a recurrent node, whatever `sequence_lens` says (2026.4: a file of
            # one LSTM and nothing else shows it); with the sizes known it is right.
            network.reshape({name: list(value.shape) for name, value in feed.items()})
            # Its own default may be bfloat16, where the processor has it.
            compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            answers = compiled(feed)
        except RuntimeError as error:
            raise ArtifactRefused(_UNKNOWN if _UNKNOWN in str(error) else one_line(error)) from error
        return {name: np.asarray(answers[name]) for name in (spec.name for spec in subject.truth.signature.outputs)}

    cases = plain(bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth))
    judgement = judge("openvino", subject.truth, cases, run)
    failures = [f"{check.name}: {check.detail}" for check in judgement.checks if not check.passed]
    # Where it has no answer, or one that it is known to get wrong, there is nothing to compare.
    has_none = any(_UNKNOWN in failure for failure in failures)
    return DOES_NOT_APPLY if has_none or (failures and reads_both_ways(subject.proto.graph)) else cell(failures)


def _is_in_float64(subject: Subject) -> bool:
    """Whether an answer is float64: on a CPU OpenVINO 2026.4 computes it in float32 and widens what comes out.

    A file of one division and nothing else shows it (tests/test_zoo_points.py).
    """
    return any(spec.dtype == "float64" for spec in subject.truth.signature.outputs)


def reads_both_ways(graph: onnx.GraphProto) -> bool:
    """Whether one tensor is read by a forward and by a backward `LSTM` node.

    OpenVINO 2026.4 may get one of the two wrong, depending on what comes before: a file of these two nodes and nothing
    else shows it (tests/test_zoo_points.py). No thread was found.
    """
    directions: dict[str, set[bytes]] = {}
    for node in graph.node:
        if node.op_type == "LSTM":
            told = [attribute.s for attribute in node.attribute if attribute.name == "direction"]
            directions.setdefault(node.input[0], set()).update(told or [b"forward"])
    return any({b"forward", b"reverse"} <= found for found in directions.values())
