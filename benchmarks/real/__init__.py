"""Real models at real sizes: what an export costs beside Keras' own: `python -m benchmarks.real` (`make real`)."""
