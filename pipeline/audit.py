"""What an ONNX file stores: the bytes of each initializer, with the nodes that read it, and what it stores again."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from pipeline.duplicates import find_duplicates
from pipeline.errors import BadInput
from pipeline.records import AuditReport, Duplicate, InitializerUse
from pipeline.store import refuse_special

_LONGEST_READER_LIST = 4
_LARGEST_PROTOBUF = (1 << 31) - 1  # bytes; what is larger keeps its tensors in external data
_MOST_ELEMENTS = 1 << 62  # of a tensor: its bytes are a number of 64 bits too
_LONGEST_NUMBER = 19  # digits of 64 bits


def audit(path: Path) -> AuditReport:
    """Stored bytes, the readers of each initializer and the duplicates in the ONNX file at `path`.

    Bodies of `If`, `Loop` and `Scan` and model-local functions are seen through. Tensors that nodes carry (`Constant`
    and others) count as stored, under the name of the node's output. External data is counted where the file says it
    lies, and read where two tensors could be duplicates.

    Raises:
        BadInput: if `path` is missing, is no ONNX model, holds a tensor with less than its shape says, or names
            external data that is missing, too short or outside of its folder.
    """
    model = read_onnx(path)
    uses = initializer_uses(model)
    tensors = (*model.graph.initializer, *inner_tensors(model))
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL:
            _refuse_missing_data(path, tensor)
    again = find_duplicates(model, tensors, path.parent)
    return AuditReport(file=str(path), stored=sum(use.size for use in uses), initializers=uses, duplicates=again)


def read_onnx(path: Path) -> ModelProto:
    """The ONNX model at `path`, its external data left on the disk.

    Raises:
        BadInput: if `path` is missing or is no ONNX model.
    """
    try:
        size = refuse_special(path)
        if size > _LARGEST_PROTOBUF:
            raise BadInput(f"{path} is not an ONNX file: it has {size} bytes, the format ends at {_LARGEST_PROTOBUF}")
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}; expected an ONNX file") from error
    except ValueError as error:  # a zero byte in the path
        raise BadInput(f"{path} can't be read: {error}; expected an ONNX file") from error
    except DecodeError as error:
        raise BadInput(f"{path} is not an ONNX file: {' '.join(str(error).split())}") from error
    # An empty file, and some that are not ONNX at all, parse as a message without any field.
    if not model.HasField("graph") or not model.ir_version:
        raise BadInput(f"{path} is not an ONNX file: it holds no graph")
    # Of bytes that are no UTF-8 protobuf makes `bytes`, where every name is expected to be text.
    if any(isinstance(text, bytes) for text in _texts(model)):
        raise BadInput(f"{path} is not an ONNX file: it holds a name that is no text in UTF-8")
    return model


def _texts(model: ModelProto) -> Iterator[str | bytes]:
    """Every name and value in a model that is read as text."""
    graphs = [model.graph]
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)
    for function in model.functions:
        yield function.name
        yield function.domain
    for node in all_nodes(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            graphs += [body for _, body in subgraphs(attribute)]
            tensors = [attribute.t, attribute.sparse_tensor.values, *attribute.tensors]
            yield from (text for tensor in tensors for text in _texts_of_tensor(tensor))
    for graph in graphs:
        yield from (value.name for value in (*graph.input, *graph.output))
        tensors = [*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)]
        yield from (text for tensor in tensors for text in _texts_of_tensor(tensor))


def _texts_of_tensor(tensor: TensorProto) -> Iterator[str | bytes]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """The nodes of the main graph, of functions and, after the node that holds it, of each body."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:  # grows while it is walked
        yield node
        for attribute in node.attribute:
            for _, body in subgraphs(attribute):
                nodes += body.node


def initializer_uses(model: ModelProto) -> tuple[InitializerUse, ...]:
    """Every stored tensor of `model`, largest first, with the nodes that read it."""
    walk = _Walk()
    walk.graph(model.graph, ChainMap(), "")
    for function in model.functions:
        walk.nodes(function.node, ChainMap(), f"{function.name}/")
    found = (stored.use() for stored in walk.stored)
    return tuple(sorted(found, key=lambda use: (-use.size, use.name)))


def described(tensor: TensorProto) -> InitializerUse:
    """One stored tensor by itself, without readers."""
    return _dense(tensor.name, tensor).use()


def inner_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """The stored tensors that are no initializers of the main graph: of bodies, functions and nodes themselves."""
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.TENSORS:
                yield from attribute.tensors
            for _, body in subgraphs(attribute):
                yield from body.initializer


def render(report: AuditReport) -> Group:
    """The report as a line and a table, largest initializer first."""
    unread = f", {len(report.unread)} read by no node" if report.unread else ""
    again = f", {report.repeated:,} bytes stored again" if report.duplicates else ", nothing stored twice"
    count = f"{len(report.initializers)} initializers, {report.reused} of them read by several nodes"
    title = f"{report.file}: {report.stored:,} bytes in {count}{unread}{again}"
    table = Table("initializer", "shape", "dtype")
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
    return Group(escape(title), table)  # a table's own title is broken where the table ends


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


# Maps names to stored tensors, or to None for names that hide an outer one.
_Scope = ChainMap[str, _Stored | None]


@dataclass
class _Walk:
    """One pass over a model."""

    stored: list[_Stored] = field(default_factory=list)

    def graph(self, graph: GraphProto, outer: _Scope, path: str) -> None:
        scope = outer.new_child()
        scope.update({value.name: None for value in graph.input})
        for tensor in graph.initializer:
            scope[tensor.name] = self._add(_dense(tensor.name, tensor))
        for sparse in graph.sparse_initializer:
            scope[sparse.values.name] = self._add(_sparse(sparse.values.name, sparse))
        self.nodes(graph.node, scope, path)
        for value in graph.output:
            _read(scope, value.name, f"{path}output {value.name}")

    def nodes(self, nodes: Iterable[NodeProto], scope: _Scope, path: str) -> None:
        for index, node in enumerate(nodes):
            label = path + (node.name or f"{node.op_type}#{index}")
            for name in node.input:
                _read(scope, name, label)
            scope.update(dict.fromkeys(node.output))
            for attribute in node.attribute:
                self._attribute(node, attribute, scope, label)

    def _attribute(self, node: NodeProto, attribute: AttributeProto, scope: _Scope, label: str) -> None:
        for name, body in subgraphs(attribute):
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


def subgraphs(attribute: AttributeProto) -> Iterator[tuple[str, GraphProto]]:
    """The bodies that an attribute of a node holds, with a name for each."""
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
    return _Stored(
        name, tuple(sparse.dims), values.dtype, values.size + _dense(f"{name} (indices)", sparse.indices).size
    )


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
    """What a tensor stores, once it is known to store as much as its shape says."""
    elements = _elements(tensor)
    bits = _PACKED_BITS.get(tensor.data_type)
    if tensor.data_type == TensorProto.STRING:
        needed, size = elements, sum(len(text) for text in tensor.string_data)
    elif bits is not None:
        needed = size = -(-elements * bits // 8)
    else:
        needed, size = elements, elements * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    if tensor.data_location == TensorProto.EXTERNAL:
        return size  # held against the length of the file, where that is read
    if tensor.HasField("raw_data"):
        needed, size = size, len(tensor.raw_data)
        held = size
    else:
        held = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
    if held < needed:
        raise BadInput(
            f"tensor {tensor.name!r} holds {held} values or bytes, its shape needs {needed}: the file is damaged"
        )
    return size


def _elements(tensor: TensorProto) -> int:
    elements = 0 if 0 in tensor.dims else 1
    for size in tensor.dims if elements else ():
        elements *= size
        if not 0 < elements <= _MOST_ELEMENTS:
            raise BadInput(f"tensor {tensor.name!r} has a size that no tensor has: the file is damaged")
    return elements


def _refuse_missing_data(path: Path, tensor: TensorProto) -> None:
    where = {entry.key: entry.value for entry in tensor.external_data}
    location, offset = where.get("location", ""), where.get("offset", "0")
    data = path.parent / location
    if os.path.isabs(location) or ".." in Path(location).parts or os.path.islink(data):
        raise BadInput(f"{path} keeps {tensor.name!r} in {location!r}, outside of its folder: it is not looked at")
    if not (offset.isascii() and offset.isdigit() and len(offset) <= _LONGEST_NUMBER):
        raise BadInput(f"{path} keeps {tensor.name!r} at {offset!r} of {location!r}, which is no place in a file")
    try:
        size = refuse_special(data)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} keeps {tensor.name!r} in {data}, which is missing: put it beside the ONNX file"
        ) from error
    end = int(offset) + _bytes(tensor)
    if size < end:
        raise BadInput(f"{data} is {size} bytes, but {tensor.name!r} ends at byte {end}: it was cut off")
