"""Clean-up passes over a converted graph beyond `onnx-ir`'s own, one file each."""
