"""Small Keras models with shared layers beyond the three that are built in.

A builder takes no argument and returns a functional or sequential model whose weights are set from the builder's name.
No weight is zero, so that a lost bias shows. The registries beside `ZOO` say what is expected of a model beyond
agreement with Keras; `python -m tests.zoo.table` measures every model at every point.
"""

from pipeline.quiet import load_tensorflow

load_tensorflow()

# TensorFlow is loaded, quietly, before anything imports it by way of Keras.
from tests.zoo import ends, examples, fallbacks, masks, operators, recurrent, reports, tutorials  # noqa: E402
from tests.zoo.registry import (  # noqa: E402
    EITHER,
    FALLBACK,
    NOT_REBUILDABLE,
    NOT_RELOADABLE,
    RANDOM,
    REFUSED,
    ZOO,
    fill,
    pair,
    zoo_model,
)

THEMES = (examples, tutorials, recurrent, fallbacks, masks, reports, ends, operators)

__all__ = [
    "EITHER",
    "FALLBACK",
    "NOT_REBUILDABLE",
    "NOT_RELOADABLE",
    "RANDOM",
    "REFUSED",
    "THEMES",
    "ZOO",
    "fill",
    "pair",
    "zoo_model",
]
