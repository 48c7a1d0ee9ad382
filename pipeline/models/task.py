"""A task: a model with what judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.models.foreign import calling_foreign

if TYPE_CHECKING:
    import keras

NamedArrays = Mapping[str, np.ndarray]
Predict = Callable[[NamedArrays], NamedArrays]


@dataclass(frozen=True)
class Arrays:
    """Samples: `inputs` by input name and `targets` by output name, the first axis of each is the sample."""

    inputs: dict[str, np.ndarray]
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, rows: np.ndarray) -> Arrays:
        """The samples at these row numbers, in this order."""
        return Arrays(
            {name: array[rows] for name, array in self.inputs.items()},
            {name: array[rows] for name, array in self.targets.items()},
        )


Training = Arrays | Callable[[int], Arrays]
Data = Callable[[], tuple[Training, Arrays]]
Metric = Callable[[Predict, Arrays], float]


@dataclass(frozen=True)
class FitPlan:
    """How a task is fitted.

    Attributes:
        loss: a Keras loss or its name; a dict by output key where the model's outputs are a dict.
        optimizer: makes the optimiser, given the number of steps in all epochs (for schedules).
        batch_size: samples in a step.
        max_epochs: the most epochs, for either variant.
        stop_at: the task's metric on the validation samples at which training stops; None: only `max_epochs` stops it.
        stop_after: for how many epochs in a row the metric has to reach `stop_at`.
        validation: makes the validation samples; None: a part of fixed training arrays is put aside for them.
        validation_fraction: that part.
        symmetric_inputs: two inputs that may change places without changing the right answer.
    """

    loss: Any
    optimizer: Callable[[int], keras.Optimizer]
    batch_size: int = 32
    max_epochs: int = 20
    stop_at: float | None = None
    stop_after: int = 1
    validation: Callable[[], Arrays] | None = None
    validation_fraction: float = 0.2
    symmetric_inputs: tuple[str, str] | None = None


@dataclass(frozen=True)
class Task:
    """A model with what judges it. Only `build` is needed: what is missing is left out of what the project does.

    Attributes:
        build: makes the model, without arguments.
        data: gives `(training, held_out)`. Training is an `Arrays`, or a function from the epoch's number to one, if
            each epoch draws afresh (one number always gives the same samples). No held-out sample is trained on.
        fit: how to fit it.
        metric: `metric(predict, held_out)`, larger is better. `predict` maps arrays by input name to arrays by output
            name, so that one function judges Keras, SavedModel, ONNX and a quantised model.
        threshold: what the metric of the `shared` variant has to reach on the held-out samples.
        allowance: how far the metric of an artifact may lie from Keras' own; None: it follows from the held-out
            samples (`models/held_out.py`).

    Example:
        >>> task = Task(build=lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    """

    build: Callable[[], keras.Model]
    data: Data | None = None
    fit: FitPlan | None = None
    metric: Metric | None = None
    threshold: float | None = None
    allowance: float | None = None

    @property
    def metric_name(self) -> str | None:
        """What the metric is called: its function's name."""
        return None if self.metric is None else getattr(self.metric, "__name__", type(self.metric).__name__)

    def held_out(self, model: str) -> Arrays:
        """The held-out samples of a task that has data.

        Raises:
            BadInput: with what `data` raised, and the name of the `model`.
        """
        assert self.data is not None
        with calling_foreign(f"the data of {model}"):
            return self.data()[1]

    def figure(self, predict: Predict, held_out: Arrays, model: str) -> float:
        """What the metric of a task that has one says.

        Raises:
            BadInput: with what it raised, and the name of the `model`; errors of ours that `predict` raises pass.
        """
        assert self.metric is not None
        with calling_foreign(f"the metric of {model}"):
            return float(self.metric(predict, held_out))
