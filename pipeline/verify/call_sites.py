"""Which call sites of a Keras model read a weight in an ONNX file, by the names of its nodes.

In our files a node's name starts with the label of the call site that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from pipeline.audit import subgraphs
from pipeline.verify.sharing import WeightMap


def site_of(node: str, labels: frozenset[str]) -> str | None:
    """The call site that a node belongs to: the longest label that its name starts with."""
    parts = node.split("/")
    prefixes = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in labels), None)


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, what the bodies inside it read from around them included."""
    yield from node.input
    for attribute in node.attribute:
        for _, body in subgraphs(attribute):
            for inner in body.node:
                yield from reads(inner)


def not_reading(proto: onnx.ModelProto, weight_map: WeightMap) -> dict[str, tuple[str, ...]]:
    """For each weight that several call sites should read those of them which no node of theirs does.

    A weight is read through nodes that work on weights alone. A call site of which the file has no node is passed over:
    it was computed beforehand, or is one with another.
    """
    labels = frozenset(site for each in weight_map for site in each.call_sites)
    named = {site for node in proto.graph.node if (site := site_of(node.name, labels)) is not None}
    readers = _readers(proto, labels)
    found: dict[str, tuple[str, ...]] = {}
    for each in weight_map:
        if each.initializer is None or len(each.call_sites) < 2:
            continue
        reading = readers.get(each.initializer, set())
        missing = tuple(site for site in each.call_sites if site in named and site not in reading)
        if missing and reading:
            found[each.weight] = missing
    return found


def _readers(proto: onnx.ModelProto, labels: frozenset[str]) -> dict[str, set[str]]:
    """The call sites that read each initializer, directly or through nodes that read nothing but initializers."""
    origins = {tensor.name: {tensor.name} for tensor in proto.graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in proto.graph.node:
        inputs = [name for name in reads(node) if name]
        read = {origin for name in inputs for origin in origins.get(name, ())}
        if inputs and all(name in origins for name in inputs):
            origins |= {output: set(read) for output in node.output}
        site = site_of(node.name, labels)
        if site is not None:
            for origin in read:
                readers.setdefault(origin, set()).add(site)
    return readers
