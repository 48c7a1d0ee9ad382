"""The same file in OpenVINO: what agrees in one runtime alone may lean on that runtime."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from pipeline import bundle
from pipeline.errors import one_line
from pipeline.verify.parity import ArtifactRefused, judge
from tests.zoo.points import has_recurrent_layers_or_masks
from tests.zoo.subject import DOES_NOT_APPLY, Cell, Subject, cell


def runs_in_openvino(subject: Subject) -> Cell:
    """Recurrent and masked models agree with the frozen truth in OpenVINO too."""
    if not has_recurrent_layers_or_masks(subject.model):
        return DOES_NOT_APPLY
    if find_spec("openvino") is None:
        return Cell(False, "openvino is not installed")
    import openvino

    try:
        # Its own default may be bfloat16, where the processor has it.
        compiled = openvino.Core().compile_model(str(subject.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        return Cell(False, one_line(error))

    def run(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            answers = compiled(feed)
        except RuntimeError as error:
            raise ArtifactRefused(one_line(error)) from error
        return {name: np.asarray(answers[name]) for name in (spec.name for spec in subject.truth.signature.outputs)}

    cases = bundle.read_cases(subject.folder / bundle.SAMPLES, subject.truth)
    judgement = judge("openvino", subject.truth, cases, run)
    return cell([f"{check.name}: {check.detail}" for check in judgement.checks if not check.passed])
