"""`Einsum` of two tensors as one `MatMul`, with as few transposes and reshapes around it as its letters need.

tf2onnx tries permutations of the letters until one decomposes, which does not end at five letters a tensor, and takes
shapes from weights while running. What is no matrix product here is ONNX's own `Einsum`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.export.composition import Composition

OPERATION = "Einsum"


def convert(ctx: Any, node: Any, name: str, args: list[Any]) -> None:
    """Replace the node by a matrix product, or by an `Einsum` of ONNX."""
    c = Composition(ctx, node)
    equation = node.get_attr_value("equation").decode().replace(" ", "")
    product = _product(equation, [ctx.get_shape(each) for each in c.inputs])
    c.finish(_multiplied(c, product) if product is not None else c.op("Einsum", *c.inputs, equation=equation))


@dataclass(frozen=True)
class _Side:
    """What to do to one operand before the product: permute its axes, then reshape it (None: leave it)."""

    permutation: tuple[int, ...]
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class _Product:
    """A matrix product: which operand comes first, what is done to each, and to the result."""

    order: tuple[int, int]
    first: _Side
    second: _Side
    result: _Side


class _Unknown(Exception):
    """A reshape would need a size that only running the model tells."""


def _product(equation: str, shapes: Sequence[Sequence[int] | None]) -> _Product | None:
    """The matrix product that an equation of two operands is, or None."""
    terms, _, output = equation.partition("->")
    letters = terms.split(",")
    if "." in equation or "->" not in equation or len(letters) != 2 or None in shapes:
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(letters, shapes, strict=True):
        for letter, size in zip(term, shape or (), strict=True):
            sizes[letter] = max(size, sizes.get(letter, -1))
    is_plain = all(len(set(term)) == len(term) for term in (*letters, output))
    if not is_plain or any(
        letter not in output and not (set(letter) <= set(letters[0]) & set(letters[1])) for letter in sizes
    ):
        return None
    plans: list[_Product] = []
    for order in ((0, 1), (1, 0)):
        with contextlib.suppress(_Unknown):
            plans.append(_planned(letters, order, output, sizes))
    # The order that leaves the result as it is wanted spares a transpose.
    return min(plans, key=lambda plan: plan.result.permutation != tuple(range(len(output))), default=None)


def _planned(letters: list[str], order: tuple[int, int], output: str, sizes: dict[str, int]) -> _Product:
    left, right = letters[order[0]], letters[order[1]]
    batch = [letter for letter in output if letter in left and letter in right]
    rows = [letter for letter in output if letter in left and letter not in right]
    columns = [letter for letter in output if letter in right and letter not in left]
    summed = [letter for letter in right if letter in left and letter not in output]
    # Without axes in common a product takes any number of rows as they are.
    kept, merged = ([*batch], rows) if batch or not rows else (rows, None)
    first = _side(left, kept, [summed] if merged is None else [merged, summed], sizes)
    second = _side(right, batch, [summed, columns], sizes)
    given = [*batch, *rows, *columns]
    groups = [columns] if merged is None else [merged, columns]
    is_split = any(len(group) != 1 for group in groups)
    inner = [letter for group in groups for letter in group]
    shape = (*[0] * len(kept), *_free([sizes[letter] for letter in inner])) if is_split else None
    return _Product(order, first, second, _Side(tuple(given.index(letter) for letter in output), shape))


def _side(term: str, kept: list[str], groups: list[list[str]], sizes: dict[str, int]) -> _Side:
    """Axes in the order `kept`, then those of each group merged into one."""
    permutation = tuple(term.index(letter) for letter in [*kept, *(letter for group in groups for letter in group)])
    if all(len(group) == 1 for group in groups):
        return _Side(permutation, None)
    merged = [
        -1 if any(sizes[letter] < 0 for letter in group) else math.prod(sizes[letter] for letter in group)
        for group in groups
    ]
    return _Side(permutation, (*[0] * len(kept), *_free(merged)))


def _free(sizes: list[int]) -> list[int]:
    if sum(size < 0 for size in sizes) > 1:
        raise _Unknown
    return sizes


def _multiplied(c: Composition, product: _Product) -> str:
    first, second = (c.inputs[index] for index in product.order)
    factors = (
        _reshaped(c, _permuted(c, first, product.first.permutation), product.first.shape),
        _reshaped(c, _permuted(c, second, product.second.permutation), product.second.shape),
    )
    split = _reshaped(c, c.op("MatMul", *factors), product.result.shape)
    return _permuted(c, split, product.result.permutation)


def _permuted(c: Composition, tensor: str, permutation: tuple[int, ...]) -> str:
    if permutation == tuple(range(len(permutation))):
        return tensor
    return c.op("Transpose", tensor, perm=list(permutation))


def _reshaped(c: Composition, tensor: str, shape: tuple[int, ...] | None) -> str:
    return tensor if shape is None else c.op("Reshape", tensor, c.ints(*shape))
