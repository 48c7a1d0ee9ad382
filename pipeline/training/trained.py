"""A folder of trained weights: `weights.npz`, and `training.json`, which is written last."""

from __future__ import annotations

from pathlib import Path

import keras

from pipeline.errors import BadInput
from pipeline.records import Source, TrainingRecord
from pipeline.store import digest, read_record
from pipeline.training.weights import load_weights

WEIGHTS = "weights.npz"
RECORD = "training.json"


def load_trained(model: keras.Model, folder: Path) -> TrainingRecord:
    """Fill `model`, of the variant that was trained, with the weights in `folder`.

    Raises:
        BadInput: if training has not finished, the weights are not those that it wrote, or they don't fit the model.
    """
    record = read_record(folder / RECORD, TrainingRecord)
    weights = folder / WEIGHTS
    if not weights.is_file() or digest(weights) != record.weights:
        raise BadInput(f"{weights} is not the file that training wrote: train {record.model} ({record.variant}) again")
    load_weights(model, weights)
    return record


def source_of(folder: Path) -> Source | None:
    """What the weights in a folder were trained of, where that is told."""
    try:
        return read_record(folder / RECORD, TrainingRecord).source
    except BadInput:  # nothing that could be used: training may write there
        return None
