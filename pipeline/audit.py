"""What an ONNX file stores: the bytes of each initializer, with the nodes that read it, and what it stores again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto
from rich.markup import escape
from rich.table import Table

from pipeline.duplicates import find_duplicates
from pipeline.errors import BadInput
from pipeline.records import AuditReport, Duplicate, InitializerUse

_LONGEST_READER_LIST = 4


def audit(path: Path) -> AuditReport:
    """Stored bytes, the readers of each initializer and the duplicates in the ONNX file at `path`.

    Bodies of `If`, `Loop` and `Scan` and model-local functions are seen through. Tensors that nodes carry (`Constant`
    and others) count as stored, under the name of the node's output. External data is counted where the file says it
    lies, and read where two tensors could be duplicates.

    Raises:
        BadInput: if `path` is missing, is no ONNX model, or names external data that is missing or too short.
    """
    model = read_onnx(path)
    uses = initializer_uses(model)
    for tensor in (*model.graph.initializer, *inner_tensors(model)):
        if tensor.data_location == TensorProto.EXTERNAL:
            _refuse_missing_data(path, tensor)
    again = find_duplicates(model, (*model.graph.initializer, *inner_tensors(model)), path.parent)
    return AuditReport(file=str(path), stored=sum(use.size for use in uses), initializers=uses, duplicates=again)


def read_onnx(path: Path) -> ModelProto:
    """The ONNX model at `path`, its external data left on the disk.

    Raises:
        BadInput: if `path` is missing or is no ONNX model.
    """
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}; expected an ONNX file") from error
    except DecodeError as error:
        raise BadInput(f"{path} is not an ONNX file: {' '.join(str(error).split())}") from error
    # An empty file, and some that are not ONNX at all, parse as a message without any field.
    if not model.HasField("graph") or not model.ir_version:
        raise BadInput(f"{path} is not an ONNX file: it holds no graph")
    return model


def initializer_uses(model: ModelProto) -> tuple[InitializerUse, ...]:
    """Every stored tensor of `model`, largest first, with the nodes that read it."""
    walk = _Walk()
    walk.graph(model.graph, {}, "")
    for function in model.functions:
        walk.nodes(function.node, {}, f"{function.name}/")
    found = (stored.use() for stored in walk.stored)
    return tuple(sorted(found, key=lambda use: (-use.size, use.name)))


def described(tensor: TensorProto) -> InitializerUse:
    """One stored tensor by itself, without readers."""
    return _dense(tensor.name, tensor).use()


def inner_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """The stored tensors that are no initializers of the main graph: of bodies, functions and nodes themselves."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:  # grows while it is walked
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
            for _, body in _subgraphs(attribute):
                yield from body.initializer
                nodes += body.node


def render(report: AuditReport) -> Table:
    """The report as a table, largest initializer first."""
    unread = f", {len(report.unread)} read by no node" if report.unread else ""
    again = f", {report.repeated:,} bytes stored again" if report.duplicates else ", nothing stored twice"
    count = f"{len(report.initializers)} initializers, {report.reused} of them read by several nodes"
    title = f"{report.file}: {report.stored:,} bytes in {count}{unread}{again}"
    table = Table("initializer", "shape", "dtype", title=escape(title), title_justify="left")
    table.add_column("bytes", justify="right")
    table.add_column("readers", justify="right")
    table.add_column("read by")
    if report.duplicates:
        table.add_column("holds again")
    of = {duplicate.name: duplicate for duplicate in report.duplicates}
    for use in report.initializers:
        shown = ", ".join(use.readers[:_LONGEST_READER_LIST]) or "nobody"
        more = len(use.readers) - _LONGEST_READER_LIST
        read_by = f"{shown} and {more} more" if more > 0 else shown
        shape = " x ".join(str(size) for size in use.shape) or "scalar"
        row = [escape(use.name), shape, use.dtype, f"{use.size:,}", str(len(use.readers)), escape(read_by)]
        if report.duplicates:
            row.append(_again(of[use.name]) if use.name in of else "")
        table.add_row(*row)
    return table


def _again(duplicate: Duplicate) -> str:
    return escape(f"{duplicate.of}, transposed" if duplicate.is_transposed else duplicate.of)


# --- walking a graph ----------------------------------------------------------------------------------------------


@dataclass
class _Stored:
    """A stored tensor whose readers are still being collected."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    readers: list[str] = field(default_factory=list)

    def use(self) -> InitializerUse:
        return InitializerUse(
            name=self.name, shape=self.shape, dtype=self.dtype, size=self.size, readers=tuple(self.readers)
        )


@dataclass
class _Walk:
    """One pass over a model. A scope maps names to stored tensors, or to None for names that hide an outer one."""

    stored: list[_Stored] = field(default_factory=list)

    def graph(self, graph: GraphProto, outer: Mapping[str, _Stored | None], path: str) -> None:
        scope: dict[str, _Stored | None] = dict(outer)
        scope.update({value.name: None for value in graph.input})
        for tensor in graph.initializer:
            scope[tensor.name] = self._add(_dense(tensor.name, tensor))
        for sparse in graph.sparse_initializer:
            scope[sparse.values.name] = self._add(_sparse(sparse.values.name, sparse))
        self.nodes(graph.node, scope, path)
        for value in graph.output:
            _read(scope, value.name, f"{path}output {value.name}")

    def nodes(self, nodes: Iterable[NodeProto], scope: dict[str, _Stored | None], path: str) -> None:
        for index, node in enumerate(nodes):
            label = path + (node.name or f"{node.op_type}#{index}")
            for name in node.input:
                _read(scope, name, label)
            scope.update(dict.fromkeys(node.output))
            for attribute in node.attribute:
                self._attribute(node, attribute, scope, label)

    def _attribute(
        self, node: NodeProto, attribute: AttributeProto, scope: dict[str, _Stored | None], label: str
    ) -> None:
        for name, body in _subgraphs(attribute):
            self.graph(body, scope, f"{label}/{name}/")
        for tensor in _carried(node, attribute):
            if node.op_type == "Constant":
                scope[_output(node)] = self._add(tensor)
            else:
                self._add(tensor).readers.append(label)

    def _add(self, tensor: _Stored) -> _Stored:
        self.stored.append(tensor)
        return tensor


def _read(scope: Mapping[str, _Stored | None], name: str, reader: str) -> None:
    stored = scope.get(name)
    if stored is not None:
        stored.readers.append(reader)


def _subgraphs(attribute: AttributeProto) -> Iterator[tuple[str, GraphProto]]:
    if attribute.type == AttributeProto.GRAPH:
        yield attribute.name, attribute.g
    for index, body in enumerate(attribute.graphs):
        yield f"{attribute.name}[{index}]", body


def _carried(node: NodeProto, attribute: AttributeProto) -> Iterator[_Stored]:
    """The tensors that a node carries itself; plain numbers count where the node is a `Constant`."""
    output = _output(node)
    name = output if node.op_type == "Constant" else f"{output} ({attribute.name})"
    if attribute.type == AttributeProto.TENSOR:
        yield _dense(name, attribute.t)
    elif attribute.type == AttributeProto.SPARSE_TENSOR:
        yield _sparse(name, attribute.sparse_tensor)
    elif attribute.type == AttributeProto.TENSORS:
        yield from (_dense(f"{name}[{index}]", tensor) for index, tensor in enumerate(attribute.tensors))
    elif node.op_type == "Constant" and not attribute.ref_attr_name:
        yield _listed(name, attribute)


def _output(node: NodeProto) -> str:
    return str(node.output[0]) if node.output else str(node.name)


def _dense(name: str, tensor: TensorProto) -> _Stored:
    if tensor.data_type not in TensorProto.DataType.values() or tensor.data_type == TensorProto.UNDEFINED:
        raise BadInput(f"tensor {name!r} has the unknown element type {tensor.data_type}: update onnx, or export again")
    dtype = TensorProto.DataType.Name(tensor.data_type).lower()
    return _Stored(name, tuple(tensor.dims), _NUMPY_NAMES.get(dtype, dtype), _bytes(tensor))


def _sparse(name: str, sparse: SparseTensorProto) -> _Stored:
    values = _dense(name, sparse.values)
    return _Stored(name, tuple(sparse.dims), values.dtype, values.size + _bytes(sparse.indices))


def _listed(name: str, attribute: AttributeProto) -> _Stored:
    """A `Constant` given as a Python number, string, or list of them."""
    value = onnx.helper.get_attribute_value(attribute)
    shape = (len(value),) if isinstance(value, (list, tuple)) else ()
    items = list(value) if shape else [value]
    if items and isinstance(items[0], bytes):
        return _Stored(name, shape, "string", sum(len(item) for item in items))
    is_float = attribute.type in (AttributeProto.FLOAT, AttributeProto.FLOATS)
    return _Stored(name, shape, "float32" if is_float else "int64", len(items) * (4 if is_float else 8))


# --- bytes --------------------------------------------------------------------------------------------------------

_NUMPY_NAMES = {"float": "float32", "double": "float64"}
# Bits of an element where it is not a whole number of bytes, which pack (ONNX IR, "Serializing tensors").
_PACKED_BITS = {
    getattr(TensorProto, name): bits
    for name, bits in (("INT4", 4), ("UINT4", 4), ("FLOAT4E2M1", 4), ("INT2", 2), ("UINT2", 2))
    if hasattr(TensorProto, name)
}


def _bytes(tensor: TensorProto) -> int:
    if tensor.data_type == TensorProto.STRING:
        return sum(len(text) for text in tensor.string_data)
    elements = 1
    for size in tensor.dims:
        elements *= size
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    bits = _PACKED_BITS.get(tensor.data_type)
    if bits is not None:
        return -(-elements * bits // 8)
    return elements * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _refuse_missing_data(path: Path, tensor: TensorProto) -> None:
    where = {entry.key: entry.value for entry in tensor.external_data}
    data = path.parent / where.get("location", "")
    offset = where.get("offset", "0")
    if not data.is_file() or not offset.isdigit():
        raise BadInput(f"{path} keeps {tensor.name!r} in {data}, which is missing: put it beside the ONNX file")
    end = int(offset) + _bytes(tensor)
    if data.stat().st_size < end:
        raise BadInput(f"{data} is {data.stat().st_size} bytes, but {tensor.name!r} ends at byte {end}: it was cut off")
