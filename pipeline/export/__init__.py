"""Artifacts of a Keras model in which every weight is stored once."""

from pipeline.export.deferred_sympy import sympy_deferred

with sympy_deferred():
    import onnx_ir as onnx_ir
