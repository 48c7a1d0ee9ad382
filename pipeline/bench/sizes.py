"""The sizes of free axes at which a model is timed: those that a user asked for, else those that users have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.cases import free_axes
from pipeline.errors import BadInput
from pipeline.records import AxisRule, Signature

# By the number of an input's axes: sequences as long as a sentence or two; an image's side as backbones are trained on;
# a volume's side as scans are cut to (batch, three sides, channels).
_STEPS = 128
_SIDES = {4: 224, 5: 64}


def read_sizes(texts: Iterable[str]) -> dict[str, int]:
    """What a user typed, `AXIS=SIZE` each.

    Raises:
        BadInput: if one is not of that form.
    """
    sizes: dict[str, int] = {}
    for text in texts:
        name, is_given, size = text.partition("=")
        if not is_given or not size.strip().isdecimal():
            raise BadInput(f"--size {text} is not AXIS=SIZE: write a free axis and a whole number, as time=128")
        sizes[name.strip()] = int(size)
    return sizes


def sizes_of(signature: Signature, asked: Mapping[str, int]) -> dict[str, int]:
    """The size of every free axis of a model but the batch.

    Args:
        signature: the model's.
        asked: sizes that a user asked for, by axis, or by the end of the names of several (`time` of `left_time` and
            `right_time`). The others get what users have, as near as their rules admit:
            sides of images 224, of volumes 64, everything else 128.

    Raises:
        BadInput: if there is no such free axis, or it takes no such size.
    """
    axes = free_axes(signature)
    sizes = {axis: _usual(signature.rule(axis), _of_users(signature, axis)) for axis in axes}
    for name, size in asked.items():
        meant = [axis for axis in axes if axis == name] or [axis for axis in axes if axis.endswith(f"_{name}")]
        if not meant:
            raise BadInput(f"--size {name}={size}: the model has no such free axis; it has {', '.join(axes) or 'none'}")
        for axis in meant:
            refused = signature.rule(axis).refusal(size)
            if refused is not None:
                raise BadInput(f"--size {name}={size}: {refused}")
            sizes[axis] = size
    return sizes


def _of_users(signature: Signature, axis: str) -> int:
    sides = [_SIDES.get(len(spec.shape), _STEPS) for spec in signature.inputs if axis in spec.shape[1:]]
    return next((side for side in sides if side != _STEPS), _STEPS)


def _usual(rule: AxisRule, size: int) -> int:
    within = size if rule.most is None else min(size, rule.most)
    return max(rule.rounded_down(within), rule.smallest)
