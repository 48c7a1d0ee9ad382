"""Whether a SavedModel only computes: TensorFlow has operations that run Python, read and write files, wait for a host.

Loading a SavedModel from somebody else is running its graph. What is looked at here is looked at before it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from pipeline.records import Check

GRAPH = "saved_model.pb"
# tensorflow/core/ops: io_ops, script_ops, summary_ops, rpc and dataset operations that reach outside the graph.
# SaveV2 and RestoreV2 are in every SavedModel, in functions that only saving calls.
_REACHING_OUT = frozenset(
    {
        "PyFunc", "PyFuncStateless", "EagerPyFunc",
        "ReadFile", "WriteFile", "MatchingFiles", "Save", "SaveSlices", "Restore", "RestoreSlice",
        "WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2", "TFRecordReader",
        "TFRecordReaderV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader",
        "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2", "FixedLengthRecordDataset",
        "FixedLengthRecordDatasetV2", "LMDBDataset", "CSVDataset", "CSVDatasetV2", "SqlDataset", "MatchingFilesDataset",
        "DatasetToTFRecord", "SaveDataset", "SaveDatasetV2", "LoadDataset", "SnapshotDataset", "SnapshotDatasetV2",
        "CacheDataset", "CacheDatasetV2",
        "CreateSummaryFileWriter", "CreateSummaryDbWriter", "DataServiceDataset", "DataServiceDatasetV2",
        "DataServiceDatasetV3", "DataServiceDatasetV4", "RpcCall", "RpcServer", "RpcClient", "DebugIdentity",
        "DebugIdentityV2", "DebugNanCount", "DebugNumericSummary", "InitializeTableFromTextFile",
        "InitializeTableFromTextFileV2",
    }
)  # fmt: skip


def check_operations(model: Path) -> Check:
    """Name the operations of the SavedModel in the folder `model` that reach outside of its graph."""
    name = "saved_model only computes"
    saved = SavedModel()
    try:
        saved.ParseFromString((model / GRAPH).read_bytes())
    except (OSError, DecodeError) as error:
        return Check(name=name, passed=False, detail=f"{GRAPH} can't be read: {error}")
    found = sorted({node.op for node in _nodes(saved) if _reaches_out(node)})
    return Check(name=name, passed=not found, detail=", ".join(found))


def dtypes_in(model: Path) -> frozenset[str]:
    """The dtypes that the operations of the SavedModel in the folder `model` have to do with."""
    saved = SavedModel()
    saved.ParseFromString((model / GRAPH).read_bytes())
    values = [value for node in _nodes(saved) for value in node.attr.values()]
    numbers = {number for value in values for number in (value.type, *value.list.type)}
    known = {number: name for name, number in DataType.items()}
    names = {known.get(number, "").removeprefix("DT_").lower() for number in numbers}
    renamed = {"float": "float32", "double": "float64", "half": "float16"}
    return frozenset(renamed.get(name, name) for name in names)


def _nodes(saved: SavedModel) -> Iterator[NodeDef]:
    for meta_graph in saved.meta_graphs:
        yield from meta_graph.graph_def.node
        for function in meta_graph.graph_def.library.function:
            yield from function.node_def


def _reaches_out(node: NodeDef) -> bool:
    prints_to_file = node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:")
    return node.op in _REACHING_OUT or prints_to_file
