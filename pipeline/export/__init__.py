"""Artifacts of a Keras model in which every weight is stored once."""

from pipeline.export.deferred_sympy import defer_sympy

defer_sympy()
