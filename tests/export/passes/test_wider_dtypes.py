"""Dtypes that an operator is not computed in."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from pipeline.errors import BadInput
from pipeline.export.passes.wider_dtypes import WIDER, WiderDtypesPass, refuse_integers
from tests.export.passes.agreement import Case, model_of

OPSET = 18


def computed(case: Case, **feed: np.ndarray) -> list[np.ndarray]:
    """The answers of a graph once the pass has been over it."""
    model = model_of(case)
    assert WiderDtypesPass()(model).modified
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feed)


def test_a_sum_of_bytes_wraps_as_bytes_do() -> None:
    """Computed in int32, cast back."""
    x = np.array([[200, 100, 7], [1, 2, 3]], "uint8")
    case = Case("uint8[N,3] x", "int64[1] axes = {1}", "y = ReduceSum<keepdims=0>(x, axes)", {}, "uint8[N] y")
    np.testing.assert_array_equal(computed(case, x=x)[0], x.sum(axis=1, dtype="uint8"))


def test_the_choice_between_booleans_is_decided_by_what_is_chosen() -> None:
    """The condition stays one."""
    condition, x = np.array([True, False, True]), np.array([True, True, False])
    case = Case("bool[N] c, bool[N] x", "", "n = Not(x) y = Where(c, x, n)", {}, "bool[N] y")
    np.testing.assert_array_equal(computed(case, c=condition, x=x)[0], np.where(condition, x, ~x))


def test_several_results_of_which_one_has_the_dtype() -> None:
    """Indices keep theirs, and a graph's output its name."""
    x = np.array([[3, 900, 60000]], "uint16")
    case = Case(
        "uint16[N,3] x", "", "y = ArgMax<axis=1, keepdims=0>(x) z = Identity(x)", {}, "int64[N] y, uint16[N,3] z"
    )
    found, same = computed(case, x=x)
    assert found == [2]
    np.testing.assert_array_equal(same, x)


def test_what_has_a_kernel_is_left() -> None:
    """Nothing to do."""
    model = model_of(
        Case("float[N,3] x", "int64[1] axes = {1}", "y = ReduceSum<keepdims=0>(x, axes)", {}, "float[N] y")
    )
    assert not WiderDtypesPass()(model).modified


def test_integers_where_only_floats_go_are_refused() -> None:
    """By the call site."""
    model = ir.Model(
        ir.Graph([value := ir.Value(name="x", type=ir.TensorType(ir.DataType.INT32))], [], nodes=[]),
        ir_version=9,
    )
    model.opset_imports[""] = OPSET
    node = ir.node("Softmax", [value], name="shared-layers.site.0/Softmax")
    model.graph.append(node)
    with pytest.raises(BadInput, match=r"call site 'head/call_1' is Softmax of int32.*cast it to float32"):
        refuse_integers(model, ["head/call_1"])


@pytest.mark.parametrize("op_type", sorted(WIDER))
def test_the_runtime_has_a_kernel_for_what_is_computed_instead(op_type: str) -> None:
    """And ONNX, or the runtime, has none for what is widened: on the day it gets one, the line can go."""
    computed = _kernels(op_type)
    for narrow, wider in WIDER[op_type].items():
        assert _text(wider) in computed, (narrow, wider)
        assert _text(narrow) not in computed, narrow


def _kernels(op_type: str) -> set[str]:
    """The dtypes that onnxruntime computes an operator of opset 18 in on CPU."""
    schema = onnx.defs.get_schema(op_type, OPSET)
    variable = schema.inputs[1 if op_type == "Where" else 0].type_str
    found = set()
    for kernel in runtime.get_all_opkernel_def():
        first, last = kernel.version_range
        is_meant = (kernel.op_name, kernel.domain, kernel.provider) == (op_type, "", "CPUExecutionProvider")
        if is_meant and first <= schema.since_version <= last:
            found |= set(kernel.type_constraints.get(variable, ()))
    return found


def _text(dtype: ir.DataType) -> str:
    return f"tensor({dtype.name.lower()})"
