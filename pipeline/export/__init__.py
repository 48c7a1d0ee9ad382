"""Artifacts of a Keras model in which every weight is stored once."""

from pipeline.export.deferred_sympy import import_onnx_ir

import_onnx_ir()
