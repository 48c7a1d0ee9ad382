"""The weights of a model as they were at one moment, read in place of its own.

Whoever exports a model may train or serve it meanwhile. So its variables are copied once, nothing is ever assigned to
the model's own, and whatever is traced reads the copies (`keras.StatelessScope`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import BadInput
from pipeline.graph.attributes import kept_attributes
from pipeline.graph.flatten import unused_name
from pipeline.graph.inference import legal_scope
from pipeline.oracle.buffers import numbers_of
from pipeline.oracle.inlined import inlined_functions
from pipeline.oracle.unprinted import unprinted


class Snapshot:
    """A copy of every variable of some models, weights, statistics and the states of random seeds.

    Attributes:
        copies: TensorFlow's variables that hold the copies, in a fixed order, named as the model's own as far as
            TensorFlow allows.
    """

    def __init__(self, *models: keras.Model) -> None:
        own = {id(variable): variable for model in models for variable in model.variables}
        self._models = models
        self._own = own  # kept, so that no other variable gets the `id` of one of these
        names: set[str] = set()
        self._copies: dict[int, tf.Variable] = {}
        with tf.init_scope(), tf.device("/CPU:0"):
            for key, variable in own.items():
                name = unused_name(legal_scope(str(variable.path)), names)
                names.add(name)
                self._copies[key] = tf.Variable(_held(variable), trainable=False, name=name)
        self.copies = tuple(self._copies.values())
        self._numbers = {key: number for number, key in enumerate(self._copies)}

    def take_again(self) -> None:
        """Copy what the variables hold now."""
        for key, variable in self._own.items():
            self._copies[key].assign(_held(variable))

    def number(self, variable: Any) -> int:
        """The place of a Keras variable's copy among `copies`."""
        return self._numbers[id(variable)]

    def copy_of(self, variable: Any) -> tf.Variable:
        """TensorFlow's variable that holds the copy of a Keras variable."""
        return self._copies[id(variable)]

    def value(self, variable: Any) -> np.ndarray:
        """What a Keras variable held, not to be written to."""
        return numbers_of(self._copies[id(variable)])

    @property
    def by_handle(self) -> dict[int, Any]:
        """The Keras variables by the `id` of the handle of their copy."""
        return {id(copy.handle): self._own[key] for key, copy in self._copies.items()}

    @contextlib.contextmanager
    def read(self, instead: Iterable[tuple[Any, Any]] = ()) -> Iterator[None]:
        """Within this block layers read the copies; they assign to nothing that lasts, keep nothing, print nothing.

        Args:
            instead: pairs of a Keras variable and the tensor that is read in place of its copy.

        Raises:
            BadInput: if a layer reads what it has assigned itself: no artifact keeps a state between calls.
        """
        scope = _Copies({**self._copies, **{id(variable): tensor for variable, tensor in instead}})
        with scope, inlined_functions(), unprinted(), kept_attributes(self._models):
            yield
        if scope.has_read_its_own:
            raise BadInput(
                "the model changes a variable when it is called and reads it (a stateful layer, or one that draws "
                "random numbers): make the state an input and an output, or take the layer out"
            )


def _held(variable: Any) -> Any:
    """What a Keras variable holds, as a tensor of the CPU."""
    with tf.device("/CPU:0"):
        return tf.identity(variable.value)


class _Copies(keras.StatelessScope):  # type: ignore[misc]
    """The scope in which a copy is read only where a layer reads: one that nobody reads is no part of the graph."""

    def __init__(self, copies: dict[int, Any]) -> None:
        super().__init__(initialize_variables=False)
        self._read = copies
        self.has_read_its_own = False

    def get_current_value(self, variable: Any) -> Any:
        """The value that a call has assigned in this scope, else the copy; None for a variable of another model."""
        assigned = super().get_current_value(variable)
        self.has_read_its_own |= assigned is not None and "float" in str(variable.dtype)
        return self._read.get(id(variable)) if assigned is None else assigned
