"""Arrays by name, packed as a Keras model takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import tree

from pipeline.errors import BadInput
from pipeline.graph.call import input_names
from pipeline.graph.call import output_names as output_names
from pipeline.graph.read import required_graph
from pipeline.models.held_out import BATCH, in_batches
from pipeline.models.task import NamedArrays, Predict

Nested = Any


def packed_inputs(model: keras.Model, arrays: NamedArrays) -> Nested:
    """`arrays`, by input name, in the structure of the model's inputs."""
    return tree.pack_sequence_as(required_graph(model).input, _in_order(arrays, input_names(model), "input"))


def packed_targets(model: keras.Model, arrays: NamedArrays) -> Nested:
    """`arrays`, by output name, in the structure of the model's outputs."""
    return tree.pack_sequence_as(required_graph(model).output, _in_order(arrays, output_names(model), "target"))


def predictor(model: keras.Model) -> Predict:
    """`predict({input name: array}) -> {output name: array}` of a Keras model."""
    names = output_names(model)
    static = model.inputs[0].shape[0]

    def predict(arrays: NamedArrays) -> dict[str, np.ndarray]:
        answers = model.predict(packed_inputs(model, arrays), batch_size=static or BATCH, verbose=0)
        return dict(zip(names, tree.flatten(answers), strict=True))

    return predict if static is None else in_batches(predict, static, is_static=True)


def _in_order(arrays: Mapping[str, np.ndarray], names: tuple[str, ...], what: str) -> list[np.ndarray]:
    if set(arrays) != set(names):
        raise BadInput(
            f"the task's data has the {what}s {sorted(arrays)}, its model {sorted(names)}: give both one name"
        )
    return [arrays[name] for name in names]
