"""Fitting a task's variants, and the weights and figures that this leaves."""
