"""What is measured: variants of a model, in each runtime, at each batch size."""
