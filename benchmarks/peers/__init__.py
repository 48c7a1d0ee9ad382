"""Our ONNX files beside those of other exporters, in one runtime: `python -m benchmarks.peers` (`make peers`)."""
