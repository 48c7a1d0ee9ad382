"""How the layers of convolution are made and called."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Draw, Made, floats, one

_DRAWS = {
    "1D": (floats(2, 9, 4), floats(2, 4, 9)),
    "2D": (floats(2, 9, 8, 4), floats(2, 4, 9, 8)),
    "3D": (floats(2, 7, 6, 8, 4), floats(2, 4, 7, 6, 8)),
}


def _made(layer: str, *configurations: dict, **always: object) -> list[Made]:
    """A layer in several configurations, on the input that the rank in its name asks for."""
    (last, first) = next(draws for rank, draws in _DRAWS.items() if rank in layer)
    return [
        one(getattr(layers, layer), _draw(last, first, configuration), **always, **configuration)
        for configuration in ({}, *configurations)
    ]


def _draw(last: Draw, first: Draw, configuration: dict) -> Draw:
    return first if configuration.get("data_format") == "channels_first" else last


_CONVOLUTIONS = (
    {"padding": "same", "strides": 2, "activation": "relu"},
    {"dilation_rate": 2, "use_bias": False},
    {"groups": 2},
    {"data_format": "channels_first"},
)
_TRANSPOSED = (
    {"padding": "same", "strides": 2},
    {"strides": 3, "output_padding": 1, "use_bias": False},
    {"data_format": "channels_first", "strides": 2},
)
_APART = ({"padding": "same", "strides": 2, "depth_multiplier": 2}, {"dilation_rate": 2, "use_bias": False})
_SQUEEZED = {"filters": 3, "kernel_size": 2}

MADE: dict[str, list[Made]] = {
    "Conv1D": _made("Conv1D", *_CONVOLUTIONS, {"padding": "causal"}, {"lora_rank": 2}, filters=6, kernel_size=3),
    "Conv2D": _made("Conv2D", *_CONVOLUTIONS, {"lora_rank": 2}, {"dtype": "mixed_float16"}, filters=6, kernel_size=3),
    "Conv3D": _made("Conv3D", *_CONVOLUTIONS, filters=6, kernel_size=2),
    "Conv1DTranspose": _made("Conv1DTranspose", *_TRANSPOSED, {"dilation_rate": 2}, **_SQUEEZED),
    "Conv2DTranspose": _made("Conv2DTranspose", *_TRANSPOSED, {"dilation_rate": (2, 1)}, **_SQUEEZED),
    "Conv3DTranspose": _made("Conv3DTranspose", *_TRANSPOSED, **_SQUEEZED),
    "DepthwiseConv1D": _made("DepthwiseConv1D", *_APART, {"data_format": "channels_first"}, kernel_size=3),
    "DepthwiseConv2D": _made("DepthwiseConv2D", *_APART, {"data_format": "channels_first"}, kernel_size=3),
    "SeparableConv1D": _made("SeparableConv1D", *_APART, **_SQUEEZED),
    "SeparableConv2D": _made("SeparableConv2D", *_APART, {"data_format": "channels_first"}, **_SQUEEZED),
}
