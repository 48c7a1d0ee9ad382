"""`model.onnx` of a Keras model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import PassManager
from onnx_ir.passes import Sequential as PassSequence
from onnx_ir.passes import common as passes

from pipeline.export.convert import constants, convert, simplified
from pipeline.export.large_weights import make_initializers
from pipeline.export.naming import name_tensors
from pipeline.export.passes.canonical_order import CanonicalOrderPass
from pipeline.export.passes.composed_transposes import ComposedTransposesPass
from pipeline.export.passes.convolution_biases import ConvolutionBiasesPass
from pipeline.export.passes.folded_layouts import FoldedLayoutsPass
from pipeline.export.passes.gemm import GemmPass
from pipeline.export.passes.identity_elimination import IdentityPass
from pipeline.export.passes.identity_matrices import IdentityMatricesPass
from pipeline.export.passes.known_shapes import KnownShapesPass
from pipeline.export.passes.merged_constants import MergedConstantsPass
from pipeline.export.passes.merged_reshapes import MergedReshapesPass
from pipeline.export.passes.reduced_transposes import ReducedTransposesPass
from pipeline.export.passes.reversals import DoubleReversalPass
from pipeline.export.passes.site_names import SiteNamesPass
from pipeline.export.passes.stacked_products import StackedProductsPass
from pipeline.export.passes.weight_outputs import WeightOutputsPass
from pipeline.export.passes.wider_dtypes import WiderDtypesPass, refuse_integers
from pipeline.export.passes.wrapped_indices import WrappedIndicesPass
from pipeline.export.stand_ins import Finder, can_stand_in, stand_ins
from pipeline.export.trace import Trace, trace
from pipeline.export.weights import NamedWeight, place_weights, placement
from pipeline.graph.flatten import FlatModel
from pipeline.graph.patching import ONE_THREAD
from pipeline.graph.read import CallGraph
from pipeline.graph.weights import named_weights
from pipeline.oracle.snapshot import Snapshot
from pipeline.records import OPSET_KEY, WEIGHT_MAP_KEY, Signature, WeightPlacement, versions, weight_map_text

PRODUCER = "shared-layers"

# A protobuf ends at 2 GiB; 64 MiB of that are left to the graph. Larger weights go to a file of their own.
LARGEST_FILE_BYTES = 2**31 - 2**26

# Constants out of subgraphs first: a weight that two branches read is found, and stored, once.
_GATHER = PassSequence(
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    passes.LiftSubgraphInitializersToMainGraphPass(),
    FoldedLayoutsPass(),
    ConvolutionBiasesPass(),
)
_LEAN = (
    WrappedIndicesPass(),
    DoubleReversalPass(),
    ReducedTransposesPass(),
    ComposedTransposesPass(),
    StackedProductsPass(),
    KnownShapesPass(),
    MergedReshapesPass(),
    GemmPass(),
    passes.RemoveUnusedNodesPass(),
)
_MOST_ROUNDS = 10  # each pass leaves less to do for the others; most graphs need two


@dataclass(frozen=True)
class OnnxExport:
    """A converted model, where its weights lie, and which recurrent layers stayed loops, with the reasons."""

    model: ir.Model
    weight_map: tuple[WeightPlacement, ...]
    loops: dict[str, str]

    def save(self, path: Path) -> None:
        """Write the model as one file, or where no protobuf can hold it as two: weights in `<name>.data` beside it."""
        tensors = (value.const_value for value in self.model.graph.initializers.values())
        size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
        ir.save(self.model, path, external_data=f"{path.name}.data" if size > LARGEST_FILE_BYTES else None)


def export_onnx(
    flat: FlatModel, graph: CallGraph, signature: Signature, opset: int, snapshot: Snapshot | None = None
) -> OnnxExport:
    """Convert a model to ONNX, each weight stored once.

    Args:
        flat: the model to trace, without submodels.
        graph: the call graph of the model as the user wrote it, whose call sites the weight map names.
        signature: names, dtypes and free axes of inputs and outputs.
        opset: of the result.
        snapshot: of the model's variables, which are written; one is taken if none is given.

    Raises:
        ConversionFailed: if tf2onnx can't express the model.
        BadInput: if a weight did not come through whole, or for what ONNX has in other dtypes only.
    """
    with ONE_THREAD:  # tf2onnx keeps state of its own, and some of its functions are replaced
        copies = snapshot or Snapshot(flat.model, *(site.layer for site in graph.sites if site.is_layer))
        traced = trace(flat, signature, opset, copies)
        weights = _named_weights(flat, graph, copies)
        model, weight_map = _converted(traced, weights, copies, opset)
    kept = {entry.initializer for entry in weight_map if entry.initializer is not None}
    _cleaned(model, kept)
    refuse_integers(model, traced.sites)
    _forget_inner_shapes(model)
    name_tensors(model, signature)
    SiteNamesPass(traced.sites, kept)(model)
    _sign(model, flat.model.name)
    return OnnxExport(model, weight_map, traced.loops)


def _cleaned(model: ir.Model, weights: Collection[str]) -> None:
    """Take out what the graph computes for nothing, and put the rest into one order.

    Args:
        model: changed in place.
        weights: names of the initializers that hold weights.
    """
    PassSequence(
        IdentityPass(),
        passes.RemoveUnusedNodesPass(),
        CanonicalOrderPass(),
        MergedConstantsPass(weights),
        passes.CommonSubexpressionEliminationPass(),
        passes.ShapeInferencePass(check_type=False, strict_mode=False),
        WiderDtypesPass(),
        IdentityMatricesPass(),
        PassManager(_LEAN, steps=_MOST_ROUNDS, early_stop=True),
        MergedConstantsPass(weights),
        IdentityPass(),
        WeightOutputsPass(weights),
        passes.OutputFixPass(),
        CanonicalOrderPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.ClearMetadataAndDocStringPass(),
    )(model)


def _converted(
    traced: Trace, weights: Mapping[int, NamedWeight], copies: Snapshot, opset: int
) -> tuple[ir.Model, tuple[WeightPlacement, ...]]:
    """The converted graph with its weights in place, and where each lies."""
    node_of = {id(variable): node for node, variable in traced.weights.items()}
    read = {node_of[key]: weight for key, weight in weights.items() if key in node_of}
    followed = {node: weight for node, weight in read.items() if can_stand_in(weight.value.dtype)}
    followed = {node: weight for node, weight in followed.items() if node not in traced.large}
    # What is no weight of the model's (the state of a random generator) is a constant like any other.
    own = {node: copies.value(each) for node, each in traced.weights.items() if node not in read}
    graph_def = simplified(traced)
    held = [*constants(graph_def), *own.values()]
    substitutes = stand_ins([weight.value for weight in followed.values()], held)
    values = {**own, **dict(zip(followed, substitutes, strict=True))}
    model = ir.from_proto(convert(traced, graph_def, values, opset))
    _GATHER(model)
    placed = place_weights(model, list(followed.values()), Finder(substitutes, held))
    placed += make_initializers(model, {node: weight for node, weight in read.items() if node not in followed})
    model.metadata_props[WEIGHT_MAP_KEY] = weight_map_text(placed)
    unread = tuple(placement(weight) for key, weight in weights.items() if key not in node_of)
    return model, (*placed, *unread)


def _named_weights(flat: FlatModel, graph: CallGraph, copies: Snapshot) -> Mapping[int, NamedWeight]:
    """Every weight by the `id` of its variable."""
    return {
        id(weight.variable): NamedWeight(weight.name, copies.value(weight.variable), weight.call_sites)
        for weight in named_weights(flat, graph)
    }


def _forget_inner_shapes(model: ir.Model) -> None:
    """Drop inferred shapes inside the graph: they name axes `unk__66`, and any runtime infers them again."""
    ends = {id(tensor) for graph in (model.graph, *model.graph.subgraphs()) for tensor in graph.outputs}
    for node in model.graph.all_nodes():
        for tensor in node.outputs:
            if id(tensor) not in ends:
                tensor.shape = None
                tensor.type = None
    for subgraph in model.graph.subgraphs():  # onnxruntime needs the ranks of what goes in and out of a body
        for tensor in (*subgraph.inputs, *subgraph.outputs):
            if tensor.shape is not None:
                tensor.shape = ir.Shape([size if isinstance(size, int) else None for size in tensor.shape])


def _sign(model: ir.Model, name: str) -> None:
    model.producer_name = PRODUCER
    model.producer_version = versions(PRODUCER).get(PRODUCER, "")
    model.graph.name = name
    model.metadata_props[OPSET_KEY] = str(model.opset_imports[""])
    for distribution, version in versions("keras", "tensorflow", "tf2onnx").items():
        model.metadata_props[distribution] = version
