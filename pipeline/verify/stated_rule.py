"""Whether budgets may be stated, as far as the artifact tells: for a precision that it has, for a reason that holds.

The manifest says why there is no float64 reference and which budgets are stated. Of a layer that can't be made anew it
is taken at its word: nobody without the model knows better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from pipeline.audit import all_nodes
from pipeline.budget_rule import MOST_ELEMENTS, stated_for
from pipeline.records import Truth

# What is computed in whatever a file holds: a stated budget is never less than that of float32.
_ALWAYS = frozenset({"float32", "float64"})
# The dtypes that show that a layer is quantised: its numbers are kept in few bits, packed or not.
_OF_FEW_BITS = ("int8", "uint8", "int4", "uint4", "float8")
_FOR_SIZE = re.compile(r"its [\d,]+ weights would take ")


@dataclass(frozen=True)
class Seen:
    """What an artifact shows: the dtypes of its tensors, and how many parameters its manifest says that it has."""

    dtypes: frozenset[str]
    parameters: int | None = None

    def has(self, precision: str) -> bool:
        """Whether anything in it may be computed in a precision of the table."""
        wanted = _OF_FEW_BITS if precision == "int8" else (precision,)
        return precision in _ALWAYS or any(dtype.startswith(wanted) for dtype in self.dtypes)


def stated_faults(truth: Truth, seen: Seen) -> Iterator[str]:
    """Stated budgets of a precision that the artifact does not have, and a reason that does not hold."""
    for budget in truth.budgets:
        precisions = stated_for(budget) if budget.rule == "stated" else ()
        if precisions and not any(seen.has(precision) for precision in precisions):
            yield (
                f"the budget of {budget.output!r} in cases of kind {budget.kind!r} is stated for "
                f"{' or '.join(precisions)}, in which nothing of the artifact is"
            )
    is_for_size = truth.no_float64 is not None and _FOR_SIZE.match(truth.no_float64)
    if is_for_size and seen.parameters is not None and seen.parameters <= MOST_ELEMENTS:
        yield f"it says that {truth.no_float64!r}, and the model has {seen.parameters:,} parameters"


def dtypes_of(proto: onnx.ModelProto) -> frozenset[str]:
    """The dtypes of the tensors that an ONNX file stores, is given and gives, and of what its nodes cast to."""
    values = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    numbers = {value.type.tensor_type.elem_type for value in values}
    numbers |= {tensor.data_type for tensor in proto.graph.initializer}
    for node in all_nodes(proto):
        for attribute in node.attribute:
            if attribute.name == "to":
                numbers.add(attribute.i)
            elif attribute.type == onnx.AttributeProto.TENSOR:
                numbers.add(attribute.t.data_type)
    known = {number: name for name, number in onnx.TensorProto.DataType.items()}
    names = {known.get(number, "").lower() for number in numbers}
    return frozenset({"float": "float32", "double": "float64"}.get(name, name) for name in names)
