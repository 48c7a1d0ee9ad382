"""Every example by name."""

from __future__ import annotations

from tests.breadth.example import Example
from tests.breadth.layers import layers
from tests.breadth.operations import operations

EXAMPLES: dict[str, Example] = {**operations(), **layers()}
