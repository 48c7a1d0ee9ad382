"""Which integers a model takes, read off what its traced graph does with them.

An input is followed through operations that hand its values on (reshaped, sliced, cast, shifted by a constant) to where
they index something: an embedding's table, a constant, steps of a sequence, the depth of a one-hot code, segments.
Divisors are not 0. An input that is only ever compared with 0 or 1 is a mask. What a loop or a branch does with its
inputs is not followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.truth.sized_graph import SizedGraph

_MOST_FOLLOWED = 4096  # tensors that are looked at for one input
_MASK_VALUES = 2  # 0 and 1

# Operations that hand the values of one operand on, by the operand's number; None: of any.
_HANDS_ON: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "Reshape"), (0,)),
    **dict.fromkeys(("ExpandDims", "Squeeze", "StridedSlice", "Slice", "Transpose", "Tile", "BroadcastTo"), (0,)),
    **dict.fromkeys(("ReverseV2", "Roll", "Pad", "PadV2", "MirrorPad", "SplitV", "Unpack", "GatherV2"), (0,)),
    **dict.fromkeys(("Max", "Min", "Round", "Rint", "Floor", "Abs", "TopKV2"), (0,)),
    "Split": (1,),
    **dict.fromkeys(("Pack", "ConcatV2", "IdentityN"), None),
    **dict.fromkeys(("SelectV2", "Select"), (1, 2)),
}
# Integer arithmetic whose second operand must not be 0.
_DIVIDES = frozenset({"FloorMod", "FloorDiv", "TruncateMod", "TruncateDiv", "Mod", "Div", "RealDiv"})
_ADDS = frozenset({"AddV2", "Add", "BiasAdd"})
_ARITHMETIC = _ADDS | {"Sub", "Mul", "Maximum"}
_SAYS_NOTHING = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
_COMPARES = frozenset({"Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"})
_SEGMENTS = ("Sum", "Prod", "Max", "Min")


# Operations after which it is still known of which place on the input's last axis each element is.
_MOVES_PLACES = frozenset({"StridedSlice", "Slice", "Split", "SplitV", "Unpack", "GatherV2"})
_MOVES_PLACES |= {"Reshape", "Squeeze", "ExpandDims", "Transpose", "Identity"}
# What `tf.raw_ops` calls otherwise.
_RENAMED = {"split_dim": "axis", "dim": "axis", "squeeze_dims": "axis"}
_MOST_PLACES = 2**20  # elements of an input whose places are followed


@dataclass(frozen=True)
class Integers:
    """What an integer input may be: from `ids_from` on, below `ids_below` (None: no end was found).

    Of a floating-point input `ids_at` are the places on the last axis that are ids (None: all), and `between` whether
    numbers between two integers have a meaning there too.
    """

    ids_below: int | None = None
    ids_from: int = 0
    ids_at: tuple[int, ...] | None = None
    between: bool = False


@dataclass(frozen=True)
class _Followed:
    """A tensor whose elements are `scale * x + shift` of the input's elements x, `shift` between two bounds."""

    tensor: Any
    scale: int = 1
    low: int = 0
    high: int = 0
    is_integer: bool = True
    floor: int | None = None  # the least that it can be, where the graph itself sees to that
    # Of which place on the input's last axis each element is (like the tensor); where that is lost, which there are.
    places: np.ndarray | None = None


@dataclass(frozen=True)
class _Use:
    """What an operation does with what it is given: `below` bounds it, `not_zero` and `is_mask` say what it is."""

    below: int | None = None
    not_zero: bool = False
    is_mask: bool = False
    is_look_up: bool = False


def index_bounds(graph: SizedGraph) -> dict[str, Integers]:
    """What the integer inputs of a graph may be, by name; inputs of which it says nothing are left out.

    A floating-point input counts where it is cast to integers that index something: Keras' inputs are of float32 where
    nothing else is said.
    """
    found = {}
    for name, tensor in graph.inputs.items():
        if tensor.dtype == tf.bool:
            continue
        is_integer = tensor.dtype.is_integer
        places = None if is_integer else _places(tensor)
        integers = _integers(graph, _Followed(tensor, is_integer=is_integer, places=places), is_integer)
        if integers != Integers():
            found[name] = integers
    return found


def _integers(graph: SizedGraph, start: _Followed, is_integer: bool) -> Integers:
    below: list[int] = []
    least = [0]
    masks: list[bool] = []
    ids: list[_Followed] = []
    numbers: list[_Followed] = []
    for followed, use in _uses(graph, start):
        masks.append(use.is_mask)
        if use.is_look_up:
            ids.append(followed)
        elif not (use.is_mask or followed.is_integer):
            numbers.append(followed)
        if use.below is not None and followed.is_integer:
            below.append((use.below - 1 - followed.high) // followed.scale + 1)
        if use.is_look_up and followed.is_integer and followed.floor is None:
            least.append(math.ceil(-followed.low / followed.scale))
        if use.not_zero and is_integer and (followed.floor or 0) < 1:
            least.append(math.ceil((1 - followed.low) / followed.scale))
    if is_integer and not below and masks and all(masks):
        below.append(_MASK_VALUES)
    smallest = min(below, default=None)
    if smallest is not None and smallest <= max(least):
        return Integers()  # what is read contradicts itself: it is left to be tried
    found = Integers(smallest, max(least))
    return found if is_integer or smallest is None else _of_floats(found, start, ids, numbers)


def _of_floats(found: Integers, start: _Followed, ids: list[_Followed], numbers: list[_Followed]) -> Integers:
    """Where on the last axis of a floating-point input ids lie, and whether numbers between them say something.

    Tables come as one vector of which some columns are looked up and others multiplied.
    """
    looked_up, multiplied = _places_of(ids), _places_of(numbers)
    is_scaled = any(each.scale != 1 for each in ids)
    if looked_up is None or start.places is None or looked_up == frozenset(np.unique(start.places).tolist()):
        return replace(found, between=is_scaled or bool(numbers))
    is_both = multiplied is None or not looked_up.isdisjoint(multiplied)
    return replace(found, ids_at=tuple(sorted(looked_up)), between=is_scaled or is_both)


def _places_of(all_followed: list[_Followed]) -> frozenset[int] | None:
    """The places on the input's last axis that some tensors are of; None where that is not known."""
    found: set[int] = set()
    for followed in all_followed:
        if followed.places is None:
            return None
        found.update(np.unique(followed.places).tolist())
    return frozenset(found)


def _places(tensor: Any) -> np.ndarray | None:
    """For each element of an input its place on the last axis."""
    shape = tensor.shape
    if not shape.is_fully_defined() or shape.rank < 2 or not 0 < shape.num_elements() <= _MOST_PLACES:
        return None
    return np.broadcast_to(np.arange(shape[-1], dtype=np.int32), shape.as_list())


def _places_after(graph: SizedGraph, op: Any, number: int, places: np.ndarray | None) -> list[np.ndarray | None]:
    """The places of the elements of each result of an operation, which hands on those of one operand."""
    lost = None if places is None else np.unique(places)
    if places is None or op.type not in _MOVES_PLACES or op.inputs[number].shape.as_list() != list(places.shape):
        return [lost] * len(op.outputs)
    operands = [places if place == number else graph.value(each) for place, each in enumerate(op.inputs)]
    if any(each is None for each in operands):
        return [lost] * len(op.outputs)
    definition = op.op_def
    names = (_RENAMED.get(arg.name, arg.name) for arg in definition.input_arg)
    named = dict(zip(names, operands, strict=True))
    told_by_operands = {arg.type_attr or arg.number_attr for arg in definition.input_arg}
    attributes = (attr.name for attr in definition.attr if attr.name not in told_by_operands)
    named |= {_RENAMED.get(name, name): op.get_attr(name) for name in attributes}
    results = getattr(tf.raw_ops, op.type)(**named)
    return [result.numpy() for result in (results if isinstance(results, list | tuple) else [results])]


def _uses(graph: SizedGraph, start: _Followed) -> Iterator[tuple[_Followed, _Use]]:
    """What is done with an input, wherever its values get to."""
    seen: dict[Any, set[int]] = {}  # of each tensor the places that it was followed for
    pending = [start]
    while pending:
        followed = pending.pop()
        for op in followed.tensor.consumers():
            for number, operand in enumerate(op.inputs):
                made = _made(graph, op, number, followed) if operand is followed.tensor else None
                if isinstance(made, _Use):
                    yield followed, made
                elif made is not None:
                    places = _places_after(graph, op, number, followed.places)
                    results = zip(op.outputs, places, strict=True)
                    pending += [
                        replace(made, tensor=each, places=own) for each, own in results if _is_new(seen, each, own)
                    ]


def _is_new(seen: dict[Any, set[int]], tensor: Any, places: np.ndarray | None) -> bool:
    """Whether a tensor is to be followed: for the first time, or for places for which it was not; it is from now on."""
    own = set() if places is None else set(np.unique(places).tolist())
    known = seen.get(tensor.ref())
    if len(seen) >= _MOST_FOLLOWED or (known is not None and own <= known):
        return False
    seen[tensor.ref()] = own | (known or set())
    return True


def _made(graph: SizedGraph, op: Any, number: int, followed: _Followed) -> _Use | _Followed | None:
    """What an operation makes of its operand of this number; None where that says nothing about values."""
    if op.type in _SAYS_NOTHING or _wraps(op, number):
        return None
    return _use(graph, op, number) or _onward(graph, op, number, followed) or _Use()


def _wraps(op: Any, number: int) -> bool:
    """Whether this is the branch for negative indices, counted from the end: no drawn one is negative."""
    return op.type in ("SelectV2", "Select") and number == 1 and op.inputs[0].op.type == "Less"


# --- where values come to an end ----------------------------------------------------------------------------------


def _use(graph: SizedGraph, op: Any, number: int) -> _Use | None:
    """What an operation does with its operand of this number, if it is one of those that say what it may be."""
    if number == 1 and op.type in _DIVIDES:
        return _Use(not_zero=True)
    if op.type in _COMPARES:
        other = graph.value(op.inputs[1 - number])
        return _Use(is_mask=other is not None and set(np.unique(other)) <= {0, 1})
    if op.type == "Cast" and op.get_attr("DstT") == tf.bool:
        return _Use(is_mask=True)
    if op.type == "Sub" and number == 1:
        other = graph.value(op.inputs[0])
        return _Use(is_mask=other is not None and bool((other == 1).all()))
    if (op.type, number) not in _LOOKS_UP:
        return None
    return _Use(below=_LOOKS_UP[op.type, number](graph, op), is_look_up=True)


def _rows(graph: SizedGraph, op: Any) -> int | None:
    return graph.rows_looked_up(op)


def _depth(operand: int) -> Callable[[SizedGraph, Any], int | None]:
    """What bounds indices is an operand's value: its smallest, where it has several."""

    def depth(graph: SizedGraph, op: Any) -> int | None:
        value = graph.value(op.inputs[operand])
        return None if value is None or not value.size else int(value.min())

    return depth


def _scattered(graph: SizedGraph, op: Any) -> int | None:
    """Indices `(..., k)` point into the first k axes of a shape."""
    shape, depth = graph.value(op.inputs[2]), op.inputs[0].shape[-1]
    return None if shape is None or not depth else int(np.min(shape[:depth], initial=np.iinfo(np.int32).max))


def _first_axes(graph: SizedGraph, op: Any) -> int | None:
    """Indices `(..., k)` point into the first k axes of the first operand."""
    shape, depth = op.inputs[0].shape, op.inputs[1].shape[-1]
    return min(shape[:depth].as_list()) if shape.is_fully_defined() and depth else None


_LOOKS_UP: Mapping[tuple[str, int], Callable[[SizedGraph, Any], int | None]] = {
    ("GatherV2", 1): _rows,
    ("ResourceGather", 1): _rows,
    ("GatherNd", 1): _rows,
    ("ResourceGatherNd", 1): _rows,
    ("OneHot", 0): _depth(1),
    ("ScatterNd", 0): _scattered,
    **{(f"UnsortedSegment{name}", 1): _depth(2) for name in _SEGMENTS},
    **{(f"TensorScatter{name}", 1): _first_axes for name in ("Update", "Add", "Sub", "Max", "Min")},
    ("DynamicPartition", 1): lambda graph, op: int(op.get_attr("num_partitions")),
    ("SparseSoftmaxCrossEntropyWithLogits", 1): lambda graph, op: op.inputs[0].shape[-1],
}


# --- where values go on -------------------------------------------------------------------------------------------


def _onward(graph: SizedGraph, op: Any, number: int, followed: _Followed) -> _Followed | None:
    """The results, where an operation hands the elements of the input on; None if it makes something else of them."""
    if op.type == "Cast":
        return replace(followed, is_integer=followed.is_integer or op.get_attr("DstT").is_integer)
    if op.type in _HANDS_ON:
        numbers = _HANDS_ON[op.type]
        return followed if numbers is None or number in numbers else None
    return _computed(graph, op, number, followed) if op.type in _ARITHMETIC else None


def _computed(graph: SizedGraph, op: Any, number: int, followed: _Followed) -> _Followed | None:
    """Arithmetic with what constants or shapes decide."""
    other = graph.value(op.inputs[1 - number])
    if other is None or not other.size or other.dtype.kind not in "iuf":
        return None
    low, high = other.min(), other.max()
    if op.type in _ADDS or op.type == "Sub":
        low, high = (-high, -low) if op.type == "Sub" else (low, high)
        floor = None if followed.floor is None else followed.floor + math.floor(low)
        return replace(followed, low=followed.low + math.floor(low), high=followed.high + math.ceil(high), floor=floor)
    if op.type == "Mul" and low == high and low >= 1 and float(low).is_integer():
        times = int(low)
        return replace(
            followed, scale=followed.scale * times, low=followed.low * times, high=followed.high * times, floor=None
        )
    return replace(followed, floor=math.floor(low)) if op.type == "Maximum" else None
