"""A new layer like an existing one, with the same state."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from pipeline.errors import BadInput, one_line
from pipeline.graph.patching import replaced

Config = dict[str, Any]
# What Keras puts into the config of a layer that has no `get_config`, whether or not its `__init__` takes it.
_OF_EVERY_LAYER = frozenset({"name", "trainable", "dtype"})


class NotRebuildable(BadInput):
    """A layer can't be made anew from its config; the message names the layer and says why."""


def fresh_layer(layer: keras.Layer, name: str, change: Callable[[Config], Config] = lambda config: config) -> Any:
    """A layer of the same class and config, unbuilt, under another name.

    Args:
        layer: the layer to make again.
        name: of the new one.
        change: applied to the config before it is used.

    Raises:
        NotRebuildable: if the layer has no config, or its class refuses it.
    """
    try:
        config = change({**layer.get_config(), "name": name})
        with own_seeds():
            return _made(type(layer), config)
    except Exception as error:
        reason = "it has none" if isinstance(error, NotImplementedError) else one_line(error)
        raise NotRebuildable(
            f"layer '{layer.name}' ({type(layer).__name__}) can't be made anew from its config: {reason}; "
            "give it get_config() and from_config()"
        ) from error


def own_seeds() -> contextlib.AbstractContextManager[None]:
    """Within this block layers that are made without a seed take none of the numbers of Python's `random`.

    Keras draws their seeds there; whoever has set the state of `random` counts on the numbers that come next.
    """
    return replaced(random, "randint", random.Random().randint)


def _made(kind: Any, config: Config) -> Any:
    """A layer from its config, less what Keras adds to it where the layer's `__init__` does not take that.

    The new layer has the global policy then, which must be the one that its config says.
    """
    parameters = inspect.signature(kind.__init__).parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    untaken = set() if takes_any else _OF_EVERY_LAYER & set(config) - set(parameters)
    if not untaken or kind.from_config.__func__ is not keras.Layer.from_config.__func__:
        return _less_what_nobody_takes(kind, config)
    layer = kind.from_config({key: value for key, value in config.items() if key not in untaken})
    layer.name = config["name"]
    wanted = keras.dtype_policies.get(config["dtype"])
    if layer.dtype_policy != wanted:
        raise TypeError(f"its __init__ takes no 'dtype', and {wanted.name} is not the global policy")
    return layer


def _less_what_nobody_takes(kind: Any, config: Config) -> Any:
    """A layer from its config, or where that is refused from what some `__init__` of its classes takes of it.

    A `get_config` may tell more than the class takes back: numbers that were worked out, as of patches.
    """
    try:
        return kind.from_config(dict(config))
    except (TypeError, ValueError):
        taken = {name for each in kind.__mro__ for name in inspect.signature(each.__init__).parameters}
        reduced = {key: value for key, value in config.items() if key in taken | _OF_EVERY_LAYER}
        if len(reduced) == len(config):
            raise
        return kind.from_config(reduced)


def copy_state(source: keras.Layer, target: keras.Layer) -> None:
    """Give `target` every value that `source` holds: weights, statistics, random seeds, vocabularies.

    Raises:
        NotRebuildable: if the two do not hold the same variables, as where the config does not tell the whole layer.
    """
    if [tuple(v.shape) for v in source.variables] != [tuple(v.shape) for v in target.variables]:
        raise NotRebuildable(
            f"layer '{source.name}' ({type(source).__name__}) made anew from its config has {len(target.variables)} "
            f"variables where it has {len(source.variables)}: its config does not tell the whole layer"
        )
    for old, new in zip(source._flatten_layers(), target._flatten_layers(), strict=True):
        new.trainable = old.trainable  # parents come first: setting one sets its children
        _copy_what_no_variable_holds(old, new)
    for old, new in zip(source.variables, target.variables, strict=True):
        new.assign(old)
        new.trainable = old.trainable
    for new in target._flatten_layers():
        if hasattr(new, "finalize_state"):  # Normalization and its like keep tensors made from their variables
            new.finalize_state()


def _copy_what_no_variable_holds(source: Any, target: Any) -> None:
    """Adapted preprocessing layers hold what they learnt outside of variables and config."""
    try:
        if isinstance(source, keras.layers.Discretization):
            target.summary, target.bin_boundaries = source.summary, source.bin_boundaries
        elif hasattr(source, "get_vocabulary") and source.get_vocabulary() != target.get_vocabulary():
            target.set_vocabulary(source.get_vocabulary(include_special_tokens=False), **_weights_of_words(source))
    except Exception as error:
        raise NotRebuildable(f"layer '{source.name}' can't hand on what it has learnt: {one_line(error)}") from error


def _weights_of_words(lookup: Any) -> dict[str, Any]:
    """The inverse document frequencies of a `tf_idf` lookup, without those of its special tokens in front."""
    inner = getattr(lookup, "_lookup_layer", lookup)
    if inner.output_mode != "tf_idf":
        return {}
    weights = np.asarray(inner.idf_weights)
    words = len(inner.get_vocabulary(include_special_tokens=False))
    return {"idf_weights": weights[len(weights) - words :]}
