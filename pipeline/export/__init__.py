"""Artifacts of a Keras model in which every weight is stored once."""

from pipeline.deferred import SYMPY, deferred

with deferred(SYMPY):
    import onnx_ir as onnx_ir
