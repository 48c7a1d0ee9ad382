"""How the functions of `keras/src/ops/image.py` are called."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.breadth.example import Call, by, floats, integers, on, static

_IMAGE = floats(2, 6, 8, 3, low=0, high=1)
_FIRST = floats(2, 3, 6, 8, low=0, high=1)
_TRANSFORM = np.array([[0.9, 0.1, 0.5, -0.1, 1.1, -0.4, 0.0, 0.0]] * 2, "float32")
_CORNERS = np.array([[[0, 0], [7, 0], [0, 5], [7, 5]]] * 2, "float32")
_MOVED = _CORNERS + np.array([[0.5, 0.2], [-0.7, 0.4], [0.3, -0.6], [-0.2, -0.3]], "float32")
_FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")

CALLS: dict[str, list[Call]] = {
    "image.affine_transform": [
        *(
            by(lambda x, mode=mode: ops.image.affine_transform(x, _TRANSFORM, fill_mode=mode), static(_IMAGE))
            for mode in ("constant", "nearest", "wrap", "reflect")
        ),
        by(lambda x: ops.image.affine_transform(x, _TRANSFORM, "nearest", fill_value=0.5), static(_IMAGE)),
        by(lambda x: ops.image.affine_transform(x, _TRANSFORM, data_format="channels_first"), static(_FIRST)),
    ],
    "image.crop_images": [
        on(_IMAGE, top_cropping=1, left_cropping=2, target_height=4, target_width=3),
        on(_FIRST, top_cropping=1, bottom_cropping=1, left_cropping=2, right_cropping=1, data_format="channels_first"),
    ],
    "image.elastic_transform": [
        by(lambda x: ops.image.elastic_transform(x, alpha=2.0, sigma=1.0, seed=3), static(_IMAGE)),
    ],
    "image.extract_patches": [
        on(_IMAGE, size=(2, 3)),
        on(_IMAGE, size=3, strides=2, padding="same"),
        on(_IMAGE, size=2, dilation_rate=2, strides=1),
        on(_FIRST, size=(2, 2), data_format="channels_first"),
        on(static(floats(6, 8, 3)), size=2),
    ],
    "image.extract_patches_3d": [on(floats(2, 4, 6, 4, 2), size=2), on(floats(2, 5, 6, 4, 2), size=3, padding="same")],
    "image.gaussian_blur": [
        on(_IMAGE),
        on(_IMAGE, kernel_size=(5, 3), sigma=(0.5, 2.0)),
        on(_FIRST, data_format="channels_first"),
    ],
    "image.hsv_to_rgb": [on(_IMAGE), on(_FIRST, data_format="channels_first")],
    "image.map_coordinates": [
        by(
            lambda x, c, o=order, m=mode: ops.image.map_coordinates(x, c, o, fill_mode=m, fill_value=0.3),
            static(floats(5, 6)),
            static(floats(2, 3, 4, low=-3, high=8)),
        )
        for order in (0, 1)
        for mode in _FILLS
    ],
    "image.pad_images": [
        on(_IMAGE, top_padding=1, left_padding=2, target_height=9, target_width=12),
        on(_FIRST, top_padding=1, bottom_padding=0, left_padding=2, right_padding=1, data_format="channels_first"),
    ],
    "image.perspective_transform": [
        by(lambda x: ops.image.perspective_transform(x, _CORNERS, _MOVED), static(_IMAGE)),
        by(lambda x: ops.image.perspective_transform(x, _CORNERS, _MOVED, "nearest"), static(_IMAGE)),
    ],
    "image.resize": [
        *(on(_IMAGE, size=(9, 5), interpolation=how) for how in ("bilinear", "nearest", "bicubic", "lanczos3")),
        on(_IMAGE, size=(9, 5), interpolation="lanczos5"),
        on(_IMAGE, size=(9, 5), interpolation="area"),
        on(_IMAGE, size=(3, 5), antialias=True),
        on(_IMAGE, size=(4, 4), crop_to_aspect_ratio=True),
        on(_IMAGE, size=(9, 9), pad_to_aspect_ratio=True, fill_value=0.5),
        on(_FIRST, size=(9, 5), data_format="channels_first"),
        on(integers(256, 2, 6, 8, 3, dtype="uint8"), size=(9, 5)),
    ],
    "image.rgb_to_grayscale": [on(_IMAGE), on(_FIRST, data_format="channels_first")],
    "image.rgb_to_hsv": [on(_IMAGE), on(_FIRST, data_format="channels_first")],
    "image.scale_and_translate": [
        by(
            lambda x, how=how, a=antialias: ops.image.scale_and_translate(
                x, (2, 9, 5, 3), np.array([1.5, 0.6], "float32"), np.array([0.5, 0.2], "float32"), (1, 2), how, a
            ),
            static(_IMAGE),
        )
        for how, antialias in (("linear", True), ("linear", False), ("cubic", True), ("lanczos3", True))
    ],
    "image.sobel_edges": [on(_IMAGE), on(_FIRST, data_format="channels_first")],
    "image.ssim": [
        on(floats(2, 12, 12, 3, low=0), floats(2, 12, 12, 3, low=0)),
        on(floats(2, 8, 8, 1, low=0), floats(2, 8, 8, 1, low=0), filter_size=5, max_val=2.0),
    ],
}
