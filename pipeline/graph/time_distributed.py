"""Mends `TimeDistributed` over an open number of steps.

Keras 3.15 takes the number of steps from the batch axis there: it reads the shape before it swaps the two axes, and
maps over the first (`keras/src/layers/rnn/time_distributed.py`, implementation #2). `predict()` does not meet it, since
arrays have a known number of steps; a traced function with a free axis does, and so would every artifact. It can go
when Keras takes the count after the swap: a test says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers, ops
from keras.src import backend

from pipeline.graph.patching import ONE_THREAD, replaced

KERAS_OWN = layers.TimeDistributed.call


@contextlib.contextmanager
def mended_time_distributed() -> Iterator[None]:
    """While it lasts, `TimeDistributed` maps over steps. Whoever replaced its `call` already keeps theirs."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(ONE_THREAD)
        if layers.TimeDistributed.call is KERAS_OWN:
            stack.enter_context(replaced(layers.TimeDistributed, "call", over_steps))
        yield


def over_steps(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """`TimeDistributed.call`, `(batch, steps, ...)`, over however many steps there are."""
    if inputs.shape[1] is not None or keras.backend.backend() != "tensorflow":
        return KERAS_OWN(self, inputs, training=training, mask=mask)
    by_step = _swapped(inputs)
    mask_by_step = None if mask is None else _swapped(mask)

    def step(index: Any) -> Any:
        arguments: dict[str, Any] = {}
        if self.layer._call_has_mask_arg and mask_by_step is not None:
            arguments["mask"] = mask_by_step[index]
        if self.layer._call_has_training_arg:
            arguments["training"] = training
        return self.layer.call(by_step[index], **arguments)

    return _swapped(backend.vectorized_map(step, ops.arange(ops.shape(by_step)[0])))


def _swapped(tensor: Any) -> Any:
    return ops.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])
