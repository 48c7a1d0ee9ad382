"""Every public `keras.ops` function and layer, each called twice in one functional model and exported.

`operations*.py` and `layers*.py` hold the examples; `python -m tests.breadth.table` exports each and says whether ONNX
answers as Keras does. What is asked here is breadth: that whatever Keras has is right or is refused by name. How well a
model of several layers is exported is the zoo's to say.
"""

from pipeline.quiet import load_tensorflow

load_tensorflow()
