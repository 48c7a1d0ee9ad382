"""The Keras half: at which call site an ONNX file first leaves what Keras computes there.

Keras' intermediate results, in float32 and float64, against every tensor of the file. Which tensor is a call site's
result is told by the names of nodes, which start with the call site's label in our files; in another exporter's the
result is looked for among all tensors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from keras import tree

from pipeline import bundle
from pipeline.audit import read_onnx
from pipeline.budget_rule import derived, largest_error, largest_relative, stated
from pipeline.bundle import CaseArrays
from pipeline.errors import one_line
from pipeline.graph.call import named_call
from pipeline.graph.flatten import FlatModel, flatten_labelled
from pipeline.graph.read import TensorRef, read
from pipeline.graph.scopes import with_results
from pipeline.graph.weights import named_weights
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import FirstDifference, Signature, Verdict
from pipeline.truth.float64 import float64_model, widened
from pipeline.truth.wide_scope import computing_in_float64
from pipeline.verify.call_sites import reads, site_of
from pipeline.verify.tensors import tensors_of
from pipeline.weight_map.perturb import Moving

_NONE_DIFFERS = "the file does not run, its outputs are exchanged, or it is optimised into something else"
Values = list[tuple[Any, np.ndarray]]  # variables, and what is read in their place
Key = tuple[int, int]  # the `id` of a layer or operation, and which of its calls, counted in the order they run


def searched(verdict: Verdict, model: keras.Model, snapshot: Snapshot, onnx_file: Path, truth_folder: Path) -> Verdict:
    """The verdict with the first call site that differs, if the ONNX file fails a case; it stands without, too."""
    failed = [check for check in verdict.checks if not check.passed and check.name.startswith("onnx ")]
    case = next((check.case for check in failed if check.case), "")
    if not case:
        return verdict
    try:
        found, why_none = first_difference(model, snapshot, onnx_file, truth_folder, case), _NONE_DIFFERS
    except Exception as error:  # noqa: BLE001 - the model's own code runs here, and the verdict is given already
        found, why_none = None, f"the search failed: {one_line(error)}"
    if found is not None:
        return verdict.model_copy(update={"first_difference": found})
    told = f"at which call site case {case} first differs could not be found: {why_none}"
    return verdict.model_copy(update={"not_judged": (*verdict.not_judged, told)})


def first_difference(
    model: keras.Model, snapshot: Snapshot, onnx_file: Path, truth_folder: Path, case: str
) -> FirstDifference | None:
    """The first call site, as Keras runs them, whose result in the file is not Keras' own.

    Args:
        model: a functional or sequential model.
        snapshot: of its variables: the weights that the file should have.
        onnx_file: any ONNX file.
        truth_folder: with the frozen truth of this model.
        case: the key of the case to ask for; its weights are moved on both sides, if it has any.

    Returns:
        The call site; None where none differs (then it is the runtime that changes the file's meaning as it optimises
        it) or the runtime gave no tensors.
    """
    truth = bundle.read_truth(truth_folder)
    cases = bundle.read_cases(truth_folder / bundle.SAMPLES, truth)
    asked = next(each for each in cases if each.case.key == case)
    found = tensors_of(onnx_file, truth_folder, case)
    if found is None or not found.inside:
        return None
    flat = flatten_labelled(model)
    results = _results(flat, model, snapshot, truth.signature, asked)
    file = _File(read_onnx(onnx_file), found.inside, frozenset(result.label for result in results.values()))
    compared = {key: file.compare(result) for key, result in results.items()}
    differing = (key for key, seen in compared.items() if seen is not None and not seen.agrees)
    readers = _readers(flat)
    for key in differing:
        after = [seen.agrees for reader in readers.get(key, ()) if (seen := compared.get(reader)) is not None]
        # All that read it agree: the result itself is no tensor of the file, only some value on the way to it.
        if not after or not all(after):
            seen = compared[key]
            assert seen is not None
            return seen.told(results[key], case)
    return None


# --- what Keras computes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Result:
    """What Keras gave at one call site, output by output; `exact` is None without a reference in float64."""

    label: str
    layer: str
    values: list[np.ndarray]
    exact: list[np.ndarray] | None


def _results(
    flat: FlatModel, model: keras.Model, snapshot: Snapshot, signature: Signature, asked: CaseArrays
) -> dict[Key, _Result]:
    """The results of all call sites of the model, in the order they run."""
    moved = _values(flat, model, snapshot, asked)
    seen = list(_called(flat.model, signature, asked.inputs, snapshot, moved))
    exact = _exact(flat, snapshot, signature, asked, moved)
    are_paired = exact is not None and [_shapes(one) for _, one in seen] == [_shapes(one) for _, one in exact]
    results: dict[Key, _Result] = {}
    calls: dict[int, int] = {}
    for number, (operation, values) in enumerate(seen):
        call = calls[id(operation)] = calls.get(id(operation), -1) + 1
        labels = flat.labels.get(id(operation), ())
        if call < len(labels):
            reference = exact[number][1] if exact is not None and are_paired else None
            results[id(operation), call] = _Result(labels[call], type(operation).__name__, values, reference)
    return results


def _shapes(values: list[np.ndarray]) -> list[tuple[int, ...]]:
    return [value.shape for value in values]


def _exact(
    flat: FlatModel, snapshot: Snapshot, signature: Signature, asked: CaseArrays, values: Values
) -> list[tuple[Any, list[np.ndarray]]] | None:
    try:
        wide = float64_model(flat.model)
        given = {id(variable): value for variable, value in values}
        pairs = [
            (copy, given.get(id(variable), snapshot.value(variable)))
            for variable in flat.model.variables
            for copy in wide.weights.get(id(variable), ())
        ]
        with computing_in_float64():
            return list(_called(wide.model, signature, widened(asked.inputs), snapshot, pairs))
    except Exception:  # noqa: BLE001 - the layers' own code runs here, in a precision it may not expect
        return None


def _values(flat: FlatModel, model: keras.Model, snapshot: Snapshot, asked: CaseArrays) -> Values:
    """The variables that the case moves, with the values that they have then."""
    moving = Moving(asked.case)
    named = [(each.name, each.variable) for each in named_weights(flat, read(model))]
    return [
        (variable, moving.value(name, snapshot.value(variable)))
        for name, variable in named
        if moving.moves(name, str(variable.dtype))
    ]


def _called(
    model: keras.Model,
    signature: Signature,
    feed: Mapping[str, np.ndarray],
    snapshot: Snapshot,
    changed: Values,
) -> Iterator[tuple[Any, list[np.ndarray]]]:
    """Each operation that running the model calls, with its results; `changed` weights have another value."""
    operations: list[Any] = []

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def traced(inputs: Any) -> list[list[Any]]:  # compiled, as the truth is: Keras differs from itself otherwise
        graph = tf.compat.v1.get_default_graph()
        results: list[list[Any]] = []

        def see(operation: Any, result: Any) -> None:
            tensors = [leaf for leaf in tree.flatten(result) if isinstance(leaf, tf.Tensor)]
            # Inside a loop there is nothing to see but the graph of its body.
            if tensors and all(getattr(tensor, "graph", None) is graph for tensor in tensors):
                operations.append(operation)
                results.append(tensors)

        instead = [(variable, tf.constant(value, variable.dtype)) for variable, value in changed]
        with with_results(see), snapshot.read(instead):
            named_call(model, signature)(inputs)
        return results

    found = traced({name: tf.convert_to_tensor(value) for name, value in feed.items()})
    yield from zip(operations, ([tensor.numpy() for tensor in tensors] for tensors in found), strict=True)


def _readers(flat: FlatModel) -> dict[Key, list[Key]]:
    """For each call site those that read its result."""
    graph = read(flat.model)
    runs: dict[int, int] = {}
    keys: dict[int, Key] = {}  # by the number of the site
    for number, site in sorted(enumerate(graph.sites), key=lambda numbered: numbered[1].turn):
        call = runs[id(site.layer)] = runs.get(id(site.layer), -1) + 1
        keys[number] = (id(site.layer), call)
    readers: dict[Key, list[Key]] = {}
    for number, site in enumerate(graph.sites):
        for ref in tree.flatten((site.args, site.kwargs)):
            if isinstance(ref, TensorRef) and ref.site >= 0:
                readers.setdefault(keys[ref.site], []).append(keys[number])
    return readers


# --- what the file computes ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """The output of a call site that is furthest past its budget, or closest to it, and the tensor nearest to it."""

    tensor: str
    error: float
    scale: float
    budget: float
    keras: float

    @property
    def agrees(self) -> bool:
        """Written so that a NaN never agrees."""
        return self.error <= self.budget

    def told(self, result: _Result, case: str) -> FirstDifference:
        return FirstDifference(
            call_site=result.label,
            layer=result.layer,
            case=case,
            tensor=self.tensor,
            error=self.error,
            scale=self.scale,
            budget=self.budget,
            keras=self.keras,
        )


class _File:
    """The tensors of an ONNX file, by the call site that they are the result of."""

    def __init__(self, proto: onnx.ModelProto, tensors: Mapping[str, np.ndarray], labels: frozenset[str]) -> None:
        self._tensors = tensors
        sites = {output: site_of(node.name, labels) for node in proto.graph.node for output in node.output}
        read = [(name, site_of(node.name, labels)) for node in proto.graph.node for name in reads(node)]
        inner = {name for name, reader in read if name in sites and sites[name] == reader}
        outer = {name for name, reader in read if name in sites and sites[name] != reader}
        outer |= {value.name for value in proto.graph.output}
        self._outputs = [value.name for value in proto.graph.output if value.name in tensors]
        self._has_labels = any(site is not None for site in sites.values())
        self._of: dict[str | None, list[str]] = {}
        for name, site in sites.items():
            if name in tensors and (name in outer or name not in inner):
                self._of.setdefault(site, []).append(name)

    def compare(self, result: _Result) -> _Seen | None:
        """How a call site's result compares; None where the file has nothing to compare it with."""
        candidates = self._of.get(result.label, []) if self._has_labels else list(self._tensors)
        seen = self._furthest(result, candidates)
        if seen is None or seen.agrees:
            return seen
        # What makes an output may bear the label of a call site that needed the same node before.
        found = self._furthest(result, [*candidates, *self._outputs])
        return found if found is not None and found.agrees else seen

    def _furthest(self, result: _Result, candidates: list[str]) -> _Seen | None:
        seen = [
            found
            for index, value in enumerate(result.values)
            if (found := self._nearest(value, result.exact[index] if result.exact else None, candidates)) is not None
        ]
        return max(seen, key=lambda one: one.error / one.budget if one.budget else one.error, default=None)

    def _nearest(self, value: np.ndarray, exact: np.ndarray | None, candidates: list[str]) -> _Seen | None:
        reference = (value if exact is None else exact).astype(np.float64)
        own, scale = largest_error(value, reference)
        if not np.issubdtype(value.dtype, np.floating):
            budget = 0.0
        elif exact is None:
            budget = stated("", "", [value.dtype.name]).at(scale)
        else:
            relative = largest_relative([(own, scale)])
            budget = derived("", "", value.dtype.name, (relative, 0.0), scale).at(scale)
        errors = {
            name: min((_error(laid, reference) for laid in _layouts(self._tensors[name], value.shape)), default=None)
            for name in candidates
        }
        known = {name: error for name, error in errors.items() if error is not None}
        if not known:
            return None
        nearest = min(known, key=lambda name: known[name])
        return _Seen(nearest, known[nearest], scale, budget, own)


def _error(found: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference; infinite where one is finite and the other is not."""
    finite = np.isfinite(found) & np.isfinite(reference)
    if not np.array_equal(np.isfinite(found), np.isfinite(reference)):
        return math.inf
    return float(np.max(np.abs(found[finite] - reference[finite]), initial=0.0))


def _layouts(tensor: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A tensor of the file in Keras' layout, in each way that fits: axes of one element and their order may differ."""
    if tensor.dtype.kind not in "fiub" or tensor.size != math.prod(shape):
        return
    plain = np.squeeze(tensor).astype(np.float64)
    wanted = tuple(size for size in shape if size != 1)
    rank = plain.ndim
    orders = [tuple(range(rank))]
    for source, target in itertools.permutations(range(rank), 2):  # channels first or last, time first
        moved = [axis for axis in range(rank) if axis != source]
        moved.insert(target, source)
        orders.append(tuple(moved))
    for order in dict.fromkeys(orders):
        if tuple(plain.shape[axis] for axis in order) == wanted:
            yield plain.transpose(order).reshape(shape)
