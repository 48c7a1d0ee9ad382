"""Asking Keras what is right: what reads a model's weights as they were, and the process that answers."""
