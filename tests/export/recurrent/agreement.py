"""Holding an exported model against the compiled Keras function, value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np
import onnx_ir as ir
import onnxruntime
import tensorflow as tf

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.call import named_call
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.truth.signature import read_signature
from tests.zoo import fill


class Exported:
    """A model with random weights and its ONNX file, in memory."""

    def __init__(self, model: keras.Model, seed: int = 7, opset: int = 18) -> None:
        fill(model, seed)
        signature = read_signature(model)
        call = named_call(model, signature)
        self._keras = tf.function(lambda feed: call(feed), autograph=False)
        self.model = export_onnx(flatten_labelled(model), read(model), signature, opset).model
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(ir.to_proto(self.model).SerializeToString(), options)

    def operators(self) -> Counter[str]:
        """How many nodes of each operator there are, subgraphs counted."""
        return Counter(node.op_type for node in self.model.graph.all_nodes())

    def error(self, feed: Mapping[str, np.ndarray]) -> float:
        """The largest difference of any output from Keras'."""
        wanted = self._keras({name: tf.constant(value) for name, value in feed.items()})
        names = [output.name for output in self.session.get_outputs()]
        answers = dict(zip(names, self.session.run(names, dict(feed)), strict=True))
        assert sorted(answers) == sorted(wanted)
        for name, value in wanted.items():
            assert answers[name].shape == tuple(value.shape), name
        return max(float(np.max(np.abs(answers[name] - value.numpy()), initial=0)) for name, value in wanted.items())
