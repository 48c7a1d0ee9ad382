"""`ImageProjectiveTransformV3`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from keras import ops

from tests.export.operations.agreement import assert_agrees, kinds, normal

MODES = ["constant", "nearest", "reflect", "wrap"]
TURNED = np.array([0.8, -0.6, 2.0, 0.6, 0.8, -3.0, 0.0, 0.0], "float32")
FAR = np.array([-3.7, 0.4, 19.0, 1.2, 2.9, -31.0, 0.0, 0.0], "float32")
HALVES = np.array([0.5, 0.0, -3.5, 0.0, -1.5, 4.5, 0.0, 0.0], "float32")  # every place is a pixel, or between two
BENT = np.array([1.0, 0.2, -1.0, 0.1, 0.9, 2.0, 0.5, -1.0], "float32")  # divides by 0 at some


def matrices() -> np.ndarray:
    """One for each image."""
    return np.stack([TURNED, FAR, HALVES, BENT])


def images(dtype: str = "float32", height: int = 5, width: int = 7) -> np.ndarray:
    """One for each matrix."""
    return (20 * normal(4, height, width, 2) + 100).astype(dtype)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(("interpolation", "mode"), list(itertools.product(["nearest", "bilinear"], MODES)))
def test_every_mode(interpolation: str, mode: str, free: bool) -> None:
    """With a matrix for each image, fed with it; the nearest pixel at ties is Keras' too."""
    transform = lambda x, matrix: ops.image.affine_transform(x, matrix, interpolation, mode, 7.5)  # noqa: E731
    assert_agrees(transform, images(), matrices(), free=free)


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("matrix", [TURNED, FAR, HALVES, BENT], ids=["turned", "far", "halves", "bent"])
def test_a_matrix_for_all_images(matrix: np.ndarray, opset: int) -> None:
    """Known to the model."""
    for interpolation in ("nearest", "bilinear"):
        transform = lambda x: ops.image.affine_transform(x, matrix, interpolation, "reflect")  # noqa: B023, E731
        assert_agrees(transform, images(), opset=opset)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float64"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_images_of_any_dtype(interpolation: str, dtype: str) -> None:
    """Sums of integers are cut, as is what fills them."""
    transform = lambda x: ops.image.affine_transform(x, TURNED, interpolation, fill_value=7.5)  # noqa: E731
    assert_agrees(transform, images(dtype))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 1)])
def test_images_of_one_row_or_column(size: tuple[int, int], mode: str) -> None:
    """Reflected and wrapped, they have no period."""
    for interpolation in ("nearest", "bilinear"):
        transform = lambda x, matrix: ops.image.affine_transform(x, matrix, interpolation, mode)  # noqa: B023, E731
        assert_agrees(transform, images("float32", *size), matrices())


def test_images_with_the_channels_first() -> None:
    """Between two layouts."""
    transform = lambda x: ops.image.affine_transform(x, TURNED, data_format="channels_first")  # noqa: E731
    assert_agrees(transform, normal(2, 3, 5, 6))


def test_a_known_matrix_that_divides_by_nothing() -> None:
    """Is not divided by; all four pixels are read by one node."""
    proto = assert_agrees(lambda x: ops.image.affine_transform(x, TURNED), images())
    assert "Div" not in kinds(proto)
    assert kinds(proto).count("GatherND") == 1
