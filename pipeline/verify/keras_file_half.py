"""Whether a bundle's `model.keras` answers as a model that is at hand does.

Only where Keras is: the file is loaded in its safe mode, and answers in the process that answers for Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline import bundle
from pipeline.errors import BadInput
from pipeline.models.keras_file import load_keras_file
from pipeline.oracle.asked import Asked, limits_of
from pipeline.oracle.asking import NoAnswer
from pipeline.records import Verdict
from pipeline.verify.behaviour import plain
from pipeline.verify.parity import ArtifactRefused, judge

KERAS_FILE = "model.keras"
_ARTIFACT = "keras"


def with_keras_file(verdict: Verdict, file: Path, truth_folder: Path) -> Verdict:
    """The verdict with that on a `.keras` file, if there is one; one that can't be loaded here is told, not judged.

    Args:
        verdict: on the other artifacts, by the same truth.
        file: a `.keras` file, or the path of none.
        truth_folder: with the frozen truth of the model at hand.
    """
    if not file.is_file():
        return verdict
    try:
        loaded = load_keras_file(file)
    except BadInput as refusal:
        return verdict.model_copy(update={"not_judged": (*verdict.not_judged, str(refusal))})
    truth = bundle.read_truth(truth_folder)
    cases = bundle.read_cases(truth_folder / bundle.SAMPLES, truth)
    with Asked(loaded) as asked:

        def run(feed: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
            try:
                return asked.answers(feed, limits_of(0.0)).float32
            except (NoAnswer, KeyError) as failed:  # the latter: it has an input of another name
                raise ArtifactRefused(str(failed)) from failed

        judgement = judge(_ARTIFACT, truth, plain(cases), run)
    return verdict.model_copy(
        update={
            "checks": (*verdict.checks, *judgement.checks),
            "parity": (*verdict.parity, *judgement.figures),
        }
    )
