"""Operations that ONNX has no formula for: refused by name."""

from __future__ import annotations

from typing import Any

_FACTORISATION = "ONNX has no solver of linear systems and no factorisation of matrices: compute it outside the model"
_WORDS = "ONNX has no hashing: hash outside the model"
_BITS = "ONNX can't read the bits of a number: do it outside the model"

_REASONS = {
    "BatchMatrixInverse": _FACTORISATION,
    "BroadcastGradientArgs": "ONNX can't follow how a derivative was broadcast: write the derivative out as a formula",
    "CTCBeamSearchDecoder": "ONNX has no beam search: decode with strategy='greedy', or outside the model",
    "Cholesky": _FACTORISATION,
    "Eig": _FACTORISATION,
    "LogMatrixDeterminant": _FACTORISATION,
    "Lu": _FACTORISATION,
    "MatrixExponential": _FACTORISATION,
    "MatrixInverse": _FACTORISATION,
    "MatrixSolve": _FACTORISATION,
    "MatrixSolveLs": _FACTORISATION,
    "MatrixTriangularSolve": _FACTORISATION,
    "Qr": _FACTORISATION,
    "SelfAdjointEigV2": _FACTORISATION,
    "Svd": _FACTORISATION,
    "NextAfter": _BITS,
    "ResizeArea": "ONNX resizes by no areas: resize bilinearly with antialias=True",
    "SparseCross": _WORDS,
    "StringToHashBucketFast": _WORDS,
    "StringToHashBucketStrong": _WORDS,
}

OPERATION = tuple(_REASONS)


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Refuse the node.

    Raises:
        ValueError: with the reason.
    """
    raise ValueError(f"{node.type} ({name}): {_REASONS[node.type]}")
