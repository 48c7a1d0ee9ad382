"""Vocabularies of integers: what a layer's lookup table holds, written to the nodes that look up in it.

A table (`IntegerLookup`) is a resource outside the graph. Its keys and values are constants of the layer, no weights.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

KEYS = "_table_keys"
VALUES = "_table_values"

LOOK_UP = "LookupTableFindV2"


def record_tables(graph_def: Any, concrete: Any) -> None:
    """Give each node that looks integers up the content of its table as attributes, in place.

    Args:
        graph_def: the frozen graph of `concrete`.
        concrete: the concrete function, which holds the tables.
    """
    handles = {inner.op.name: outer for outer, inner in concrete.graph.captures if inner.dtype == tf.resource}
    for node in graph_def.node:
        if node.op == LOOK_UP and node.input[0] in handles and _maps_integers(node):
            keys, values = tf.raw_ops.LookupTableExportV2(
                table_handle=handles[node.input[0]],
                Tkeys=tf.as_dtype(node.attr["Tin"].type),
                Tvalues=tf.as_dtype(node.attr["Tout"].type),
            )
            content = sorted(zip(keys.numpy().tolist(), values.numpy().tolist(), strict=True))
            node.attr[KEYS].list.i.extend(key for key, _ in content)
            node.attr[VALUES].list.i.extend(value for _, value in content)


def _maps_integers(node: Any) -> bool:
    return all(tf.as_dtype(node.attr[end].type).is_integer for end in ("Tin", "Tout"))
