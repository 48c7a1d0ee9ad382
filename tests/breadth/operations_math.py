"""How the functions of `keras/src/ops/math.py` and `linalg.py` are called."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.breadth.example import Call, by, definite, floats, integers, on, static

_MATRIX = floats(2, 3, 3)
_REAL, _IMAGINARY = floats(2, 4, 8), floats(2, 4, 8)
_IDS = static(integers(4, 5))
_WAVE = floats(2, 32)


def _segments(name: str) -> list[Call]:
    function = getattr(ops, name)
    ids = np.array([0, 0, 1, 3, 3], "int32")
    return [
        on(static(floats(5, 3)), _IDS, num_segments=4),
        on(static(floats(5)), _IDS, num_segments=6),
        by(lambda x: function(x, ids), static(floats(5, 3))),
        by(lambda x: function(x, ids, sorted=True), static(floats(5, 3))),
    ]


CALLS: dict[str, list[Call]] = {
    "cdist": [on(floats(2, 4, 3), floats(2, 5, 3)), on(static(floats(4, 3)), static(floats(5, 3)))],
    "cholesky": [on(definite(2, 3, 3)), on(definite(2, 3, 3), upper=True)],
    "cholesky_inverse": [on(definite(2, 3, 3))],
    "det": [on(_MATRIX), on(floats(2, 1, 1)), on(floats(2, 2, 2)), on(floats(2, 4, 4))],
    "eig": [on(_MATRIX)],
    "eigh": [on(definite(2, 3, 3))],
    "erfinv": [on(floats(2, 3, low=-0.9, high=0.9))],
    "extract_sequences": [
        on(floats(2, 16), sequence_length=6, sequence_stride=3),
        on(floats(2, 3, 16), sequence_length=4, sequence_stride=4),
    ],
    "fft": [by(lambda a, b: ops.fft((a, b)), _REAL, _IMAGINARY)],
    "fft2": [by(lambda a, b: ops.fft2((a, b)), _REAL, _IMAGINARY)],
    "ifft2": [by(lambda a, b: ops.ifft2((a, b)), _REAL, _IMAGINARY)],
    "in_top_k": [on(integers(5, 4), floats(4, 5), k=2)],
    "inv": [on(definite(2, 3, 3)), on(definite(2, 2, 2))],
    "irfft": [
        by(lambda a, b: ops.irfft((a, b)), floats(2, 5), floats(2, 5)),
        by(lambda a, b: ops.irfft((a, b), fft_length=6), floats(2, 5), floats(2, 5)),
    ],
    "istft": [
        by(
            lambda a, b: ops.istft((a, b), sequence_length=8, sequence_stride=4, fft_length=8),
            floats(2, 5, 5),
            floats(2, 5, 5),
        ),
        by(
            lambda a, b: ops.istft((a, b), 6, 3, 8, length=20, window="hamming", center=False),
            floats(2, 6, 5),
            floats(2, 6, 5),
        ),
    ],
    "jvp": [by(lambda x, t: ops.jvp(ops.sin, (x,), (t,)), floats(2, 3), floats(2, 3))],
    "logdet": [on(definite(2, 3, 3))],
    "logsumexp": [on(floats(2, 3, 4)), on(floats(2, 3, 4), axis=1), on(floats(2, 3, 4), axis=(1, 2), keepdims=True)],
    "lstsq": [on(static(floats(4, 3)), static(floats(4, 2)))],
    "lu_factor": [on(static(floats(3, 3)))],
    "matrix_rank": [on(_MATRIX)],
    "norm": [
        on(floats(2, 3)),
        *(on(floats(2, 3, 4), ord=order, axis=1) for order in (0, 1, 2, 3, np.inf, -np.inf)),
        *(on(floats(2, 3, 4), ord=order, axis=(1, 2)) for order in ("fro", 1, -1, np.inf, "nuc", 2)),
    ],
    "pinv": [on(floats(2, 4, 3))],
    "qr": [on(floats(2, 4, 3)), on(floats(2, 4, 3), mode="complete")],
    "rfft": [on(floats(2, 9)), on(floats(2, 9), fft_length=12), on(floats(2, 9), fft_length=6)],
    "rsqrt": [on(floats(2, 3, low=0.1, high=4))],
    "segment_max": _segments("segment_max"),
    "segment_min": _segments("segment_min"),
    "segment_prod": _segments("segment_prod"),
    "segment_sum": _segments("segment_sum"),
    "slogdet": [on(definite(2, 3, 3))],
    "solve": [on(definite(2, 3, 3), floats(2, 3, 2))],
    "solve_triangular": [on(definite(2, 3, 3), floats(2, 3, 2)), on(definite(2, 3, 3), floats(2, 3, 2), lower=True)],
    "stft": [
        on(_WAVE, sequence_length=8, sequence_stride=4, fft_length=8),
        on(_WAVE, sequence_length=6, sequence_stride=5, fft_length=16, window="hamming", center=False),
        on(_WAVE, sequence_length=6, sequence_stride=5, fft_length=8, window=None),
    ],
    "svd": [on(floats(2, 4, 3)), on(floats(2, 4, 3), compute_uv=False)],
    "top_k": [on(floats(2, 6), k=3), on(floats(2, 6), k=2, sorted=False), on(integers(99, 2, 6), k=3)],
    "view_as_complex": [on(floats(2, 3, 2))],
    "view_as_real": [by(lambda a, b: ops.view_as_real(ops.polar(a, b)), floats(2, 3), floats(2, 3))],
}
