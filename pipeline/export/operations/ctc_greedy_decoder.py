"""`CTCGreedyDecoder`: tf2onnx takes the last class for the blank, whatever `blank_index` says."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.export.composition import INT64, Composition

OPERATION = "CTCGreedyDecoder"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by the best class of each step, of which blanks and repetitions are left out.

    Inputs: scores `(time, batch, classes)`, lengths `(batch,)`. Results: the place of each class that is kept in a
    matrix `(batch, time)`, the classes, the matrix' shape, and the negative sum of the best scores `(batch, 1)`.
    """
    c = Composition(ctx, node)
    scores, lengths = c.op("Transpose", c.inputs[0], perm=[1, 0, 2]), c.inputs[1]
    steps = c.arange(c.size(scores, 1))
    is_step = c.op("Less", steps, c.unsqueeze(c.cast(lengths, INT64), -1))
    best = c.op("ArgMax", scores, axis=2, keepdims=0)
    is_kept = c.op("And", is_step, c.op("Not", c.op("Equal", best, _blank(c, scores))))
    if node.get_attr_value("merge_repeated"):
        padded = c.op("Pad", best, c.ints(0, 1, 0, 0), c.constant(np.int64(-1)), mode="constant")  # -1: no class
        before = c.op("Slice", padded, c.ints(0), c.ints(-1), c.ints(1))
        is_kept = c.op("And", is_kept, c.op("Not", c.op("Equal", best, before)))
    kept = c.op("Transpose", c.op("NonZero", is_kept), perm=[1, 0])
    place = c.op("Sub", c.op("CumSum", c.cast(is_kept, INT64), c.constant(np.int64(1))), c.constant(np.int64(1)))
    rows = c.op("Slice", kept, c.ints(0), c.ints(1), c.ints(1))
    indices = c.op("Concat", rows, c.unsqueeze(c.op("GatherND", place, kept), -1), axis=1)
    counts = c.reduce("ReduceSum", c.cast(is_kept, INT64), 1)
    longest = c.reduce("ReduceMax", counts, 0, keepdims=1)
    shape = c.op("Concat", c.size(scores, 0), longest, axis=0)
    highest = c.reduce("ReduceMax", scores, 2)
    summed = c.reduce("ReduceSum", c.op("Where", is_step, highest, c.constant(0, like=scores)), 1, keepdims=1)
    c.finish(indices, c.op("GatherND", best, kept), shape, c.op("Neg", summed))


def _blank(c: Composition, scores: str) -> str:
    """The class of the blank, counted from the end where it is negative."""
    blank = int(c.node.get_attr_value("blank_index", -1))
    return c.ints(blank) if blank >= 0 else c.op("Add", c.size(scores, 2), c.ints(blank))
