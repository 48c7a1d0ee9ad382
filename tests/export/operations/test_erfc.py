"""`Erfc`."""

from __future__ import annotations

import numpy as np
from keras import ops

from tests.export.operations.agreement import assert_agrees


def test_erfc_is_what_gelu_needs() -> None:
    """Far out on both sides too."""
    assert_agrees(lambda x: ops.gelu(x, approximate=False), np.array([[-6, -1, 0, 1, 6]], "float32"))
