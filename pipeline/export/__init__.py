"""Artifacts of a Keras model in which every weight is stored once."""
