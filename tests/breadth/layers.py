"""Examples of `keras.layers`: how each public layer is made and called.

Listed by room. A class that is no layer that answers by itself is in `NO_LAYERS` with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from keras import layers as keras_layers

from tests.breadth import (
    layers_attention,
    layers_convolution,
    layers_core,
    layers_image,
    layers_pooling,
    layers_preprocessing,
    layers_recurrent,
)
from tests.breadth.example import Example, Made

LISTED: dict[str, Sequence[Made]] = {
    **layers_attention.MADE,
    **layers_convolution.MADE,
    **layers_core.MADE,
    **layers_image.MADE,
    **layers_pooling.MADE,
    **layers_preprocessing.MADE,
    **layers_recurrent.MADE,
}
NO_LAYERS = {
    "FlaxLayer": "needs the JAX backend",
    "InputLayer": "is what a model's inputs are made of",
    "InputSpec": "describes an input",
    "JaxLayer": "needs the JAX backend",
    "Layer": "is what others are derived from",
    "MaxNumBoundingBoxes": "takes boxes and labels beside images in a dict, and pads those of training data",
    "Pipeline": "is what layers of preprocessing run in, in place of a model",
    "TFSMLayer": "reads a SavedModel from disk",
    "TorchModuleWrapper": "needs the Torch backend",
    "Wrapper": "is what others are derived from",
}


def layers() -> dict[str, Example]:
    """Every example by its name, in the order of the classes' names."""
    found = {}
    for name in sorted(classes()):
        for number, (make, draws) in enumerate(LISTED.get(name, ())):
            label = f"layers.{name}" + (f"/{number}" if number else "")
            found[label] = Example(label, make, tuple(draws))
    return found


def classes() -> set[str]:
    """The names of the public classes, each under the name that it calls itself."""
    found = (getattr(keras_layers, name) for name in dir(keras_layers))
    return {each.__name__ for each in found if inspect.isclass(each)}
