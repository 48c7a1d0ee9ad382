"""The real models by name, told without building one; needs no TensorFlow."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pipeline.errors import BadInput

if TYPE_CHECKING:
    import keras

HUB = "hub"


@dataclass(frozen=True)
class RealModel:
    """A model: the function `name` of the module `benchmarks.real.models.<theme>` builds it.

    `parameters` is what it then has; a run refuses a model that has another number. `free` is the size of free axes in
    the data that Keras' own export wants a model called on first.
    """

    name: str
    theme: str
    parameters: int
    free: int = 8

    @property
    def is_of_hub(self) -> bool:
        """Whether it needs KerasHub."""
        return self.theme == HUB


MODELS = (
    RealModel("mobilenet_pair", "backbones", 2_259_265),
    RealModel("resnet_pair", "backbones", 23_589_761),
    RealModel("efficientnet_triplet", "backbones", 6_083_280),
    RealModel("resnet_levels", "backbones", 24_886_232),
    RealModel("unet_change", "segmentation", 89_145),
    RealModel("unet_free", "segmentation", 39_801, free=64),
    RealModel("translator", "language", 5_277_952),
    RealModel("albert_towers", "language", 30_353_792),
    RealModel("large_table", "language", 550_416_512),
    RealModel("bert_pair", HUB, 6_896),
    RealModel("albert", HUB, 3_728),
    RealModel("distilbert_pair", HUB, 6_592),
    RealModel("roberta_classifier", HUB, 6_915),
    RealModel("deberta", HUB, 6_368),
    RealModel("gpt2_generator", HUB, 6_592),
    RealModel("gemma_generator", HUB, 4_752),
    RealModel("bart", HUB, 13_824),
    RealModel("whisper", HUB, 18_368),
    RealModel("vit_pair", HUB, 7_856),
    RealModel("bert_base_pair", HUB, 109_482_240),
    RealModel("albert_base", HUB, 11_683_584),
)
NAMES = tuple(model.name for model in MODELS)

SEED = 0


def has_hub() -> bool:
    """Whether this environment holds KerasHub."""
    return find_spec("keras_hub") is not None


def named(name: str) -> RealModel:
    """The model of a name.

    Raises:
        BadInput: if there is none.
    """
    found = next((model for model in MODELS if model.name == name), None)
    if found is None:
        raise BadInput(f"no real model is called {name!r}: choose among {', '.join(NAMES)}")
    return found


def chosen(names: list[str], smallest: int | None, with_hub: bool) -> tuple[list[RealModel], dict[str, str]]:
    """The models to measure, and why others are left out, by name.

    Args:
        names: the models asked for; none: all.
        smallest: only so many of those that can be built, those of the fewest parameters.
        with_hub: whether KerasHub is there.

    Raises:
        BadInput: for an unknown name, or if nothing is left.
    """
    asked = [named(name) for name in names] or list(MODELS)
    left_out = {model.name: "KerasHub is not installed here (make real has it)" for model in asked if model.is_of_hub}
    if with_hub:
        left_out = {}
    models = [model for model in asked if model.name not in left_out]
    if smallest is not None:
        kept = sorted(models, key=lambda model: model.parameters)[:smallest]
        left_out |= {model.name: f"not among the {smallest} smallest" for model in models if model not in kept}
        models = kept
    if not models:
        raise BadInput("no model is left to measure: " + "; ".join(f"{name}: {why}" for name, why in left_out.items()))
    return models, left_out


def build(model: RealModel) -> keras.Model:
    """The model with fresh, seeded weights.

    Raises:
        BadInput: if it has not the parameters that the catalogue says.
    """
    import keras

    keras.utils.set_random_seed(SEED)
    built: keras.Model = getattr(importlib.import_module(f"benchmarks.real.models.{model.theme}"), model.name)()
    if built.count_params() != model.parameters:
        raise BadInput(
            f"{model.name} has {built.count_params():,} parameters and the catalogue says {model.parameters:,}: "
            "correct benchmarks/real/catalogue.py"
        )
    return built
