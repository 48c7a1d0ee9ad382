"""How the layers that change images are made and called; at inference most random ones change nothing."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Made, floats, integers, one, static

_IMAGE = floats(2, 8, 10, 3, low=0, high=255)
_UNIT = floats(2, 8, 10, 3, low=0, high=1)
_BYTES = integers(256, 2, 8, 10, 3, dtype="uint8")
_FIRST = floats(2, 3, 8, 10, low=0, high=255)


def _random(layer: str, **arguments: object) -> list[Made]:
    cls = getattr(layers, layer)
    return [one(cls, _IMAGE, **arguments), one(cls, static(_IMAGE), **arguments)]


MADE: dict[str, list[Made]] = {
    "AugMix": _random("AugMix"),
    "AutoContrast": [one(layers.AutoContrast, _IMAGE), one(layers.AutoContrast, _UNIT, value_range=(0, 1))],
    "CenterCrop": [
        one(layers.CenterCrop, _IMAGE, height=5, width=6),
        one(layers.CenterCrop, _IMAGE, height=12, width=6),
        one(layers.CenterCrop, _FIRST, height=4, width=4, data_format="channels_first"),
    ],
    "ContrastLimitedAdaptiveHistogramEqualization": [
        one(layers.ContrastLimitedAdaptiveHistogramEqualization, _IMAGE),
        one(layers.ContrastLimitedAdaptiveHistogramEqualization, _UNIT, value_range=(0, 1), tile_grid_size=(2, 2)),
    ],
    "CutMix": _random("CutMix"),
    "Equalization": [
        one(layers.Equalization, _IMAGE),
        one(layers.Equalization, _UNIT, value_range=(0, 1), bins=16),
        one(layers.Equalization, _BYTES, dtype="uint8"),
    ],
    "MixUp": _random("MixUp"),
    "RandAugment": _random("RandAugment"),
    "RandomBrightness": _random("RandomBrightness", factor=0.3),
    "RandomColorDegeneration": _random("RandomColorDegeneration", factor=0.5),
    "RandomColorJitter": _random("RandomColorJitter", brightness_factor=0.3, hue_factor=0.1),
    "RandomContrast": _random("RandomContrast", factor=0.3),
    "RandomCrop": [
        one(layers.RandomCrop, _IMAGE, height=5, width=6),
        one(layers.RandomCrop, _IMAGE, height=12, width=9),
    ],
    "RandomElasticTransform": _random("RandomElasticTransform"),
    "RandomErasing": _random("RandomErasing"),
    "RandomFlip": _random("RandomFlip"),
    "RandomGaussianBlur": _random("RandomGaussianBlur"),
    "RandomGrayscale": _random("RandomGrayscale", factor=0.5),
    "RandomHue": _random("RandomHue", factor=0.5),
    "RandomInvert": _random("RandomInvert"),
    "RandomPerspective": _random("RandomPerspective"),
    "RandomPosterization": _random("RandomPosterization", factor=4),
    "RandomRotation": _random("RandomRotation", factor=0.2),
    "RandomSaturation": _random("RandomSaturation", factor=0.5),
    "RandomSharpness": _random("RandomSharpness", factor=0.5),
    "RandomShear": _random("RandomShear", x_factor=0.2),
    "RandomTranslation": _random("RandomTranslation", height_factor=0.2, width_factor=0.2),
    "RandomZoom": _random("RandomZoom", height_factor=0.2),
    "Rescaling": [
        one(layers.Rescaling, _IMAGE, scale=1 / 255),
        one(layers.Rescaling, _IMAGE, scale=[0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0]),
        one(layers.Rescaling, _BYTES, scale=1 / 255),
    ],
    "Resizing": [
        *(
            one(layers.Resizing, _IMAGE, height=5, width=13, interpolation=how)
            for how in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area")
        ),
        one(layers.Resizing, _IMAGE, height=4, width=4, crop_to_aspect_ratio=True),
        one(layers.Resizing, _IMAGE, height=9, width=9, pad_to_aspect_ratio=True),
        one(layers.Resizing, _IMAGE, height=4, width=5, antialias=True),
        one(layers.Resizing, _FIRST, height=4, width=5, data_format="channels_first"),
    ],
    "Solarization": [
        one(layers.Solarization, _IMAGE, threshold_factor=0.5),
        one(layers.Solarization, _UNIT, value_range=(0, 1), addition_factor=0.3),
    ],
}
