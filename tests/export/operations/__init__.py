"""Each handler of `pipeline/export/operations/` against the compiled Keras function, on values that try it."""
