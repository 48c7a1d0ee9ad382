"""Faults in an ONNX file, each a function that changes a model in place and says whether it could.

Those of arithmetic change what the file answers: by so little, it may be, that nobody can tell. Those of form leave the
answers as they are, or refuse inputs; nothing excuses a check that does not see them.
"""

from __future__ import annotations

from tests.faults import node_faults, weight_faults
from tests.faults.changes import FAULTS, OF_FORM, entries
from tests.faults.node_faults import swappable
from tests.faults.weight_faults import merged

__all__ = ["FAULTS", "OF_FORM", "entries", "merged", "node_faults", "swappable", "weight_faults"]
