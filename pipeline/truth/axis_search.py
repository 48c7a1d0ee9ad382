"""Which free axes have to agree and which sizes each may have, found by asking whether sizes fit.

The search knows nothing of graphs: it asks a function, a bounded number of times, each combination once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Why = TypeVar("Why")

# Sizes at which most models run, those with room below and above and many divisors first. After them come some that
# leave every remainder by 16 (unpadded convolutions between pools take one of them alone), and what sound has.
_STARTS = (16, 32, 64, 8, 24, 48, 96, 128, 224, 256, 4, 12, 6, 10, 20, 36, 40, 60, 100, 5, 7, 9, 14, 28, 56, 112, 299)
_LARGE = (*range(192, 208), 512, 1024, 4096, 16000, 16384)
_MIXED_STARTS = (16, 64, 4, 224)  # where axes of different kinds need different sizes
_MOST_STARTS = 96
_MOST_TRIED = 400  # combinations of sizes in one search
_LONGEST = 1 << 16  # what fits there is said to have no end
_LARGEST_MULTIPLE = 64
_MOST_KINDS = 4
_LARGEST_TIED = 8  # axes among which pairs are looked for


@dataclass(frozen=True)
class Sizes(Generic[Why]):
    """What sizes the axes of one name may have: larger by `remainder` than a multiple of `multiple`.

    `refused` are sizes just beyond, each with why it did not fit.
    """

    least: int = 1
    most: int | None = None
    multiple: int = 1
    remainder: int = 0
    refused: tuple[tuple[int, Why], ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether every size fits."""
        return (self.least, self.most, self.multiple) == (1, None, 1)

    @property
    def first(self) -> int:
        """The smallest."""
        return self.least + (self.remainder - self.least) % self.multiple


@dataclass(frozen=True)
class Found(Generic[Why]):
    """Axes that have one size, in groups (of one, where an axis need not agree with another), each with its sizes."""

    groups: tuple[tuple[str, ...], ...]
    sizes: tuple[Sizes[Why], ...]


class _Exhausted(Exception):
    """More combinations would be needed than are tried."""


@dataclass
class _Asked(Generic[Why]):
    """A function from sizes to why they do not fit (None: they do), asked about each combination once."""

    ask: Callable[[Mapping[str, int]], Why | None]
    named: Callable[[Why], Sequence[int]]
    answers: dict[tuple[tuple[str, int], ...], Why | None] = field(default_factory=dict)

    def why_not(self, sizes: Mapping[str, int]) -> Why | None:
        key = tuple(sorted(sizes.items()))
        if key not in self.answers:
            if len(self.answers) >= _MOST_TRIED:
                raise _Exhausted
            self.answers[key] = self.ask(sizes)
        return self.answers[key]

    def fits(self, sizes: Mapping[str, int]) -> bool:
        return self.why_not(sizes) is None


def search(
    axes: Sequence[str],
    kind: Callable[[str], str],
    ask: Callable[[Mapping[str, int]], Why | None],
    hints: Sequence[int] = (),
    named: Callable[[Why], Sequence[int]] = lambda why: (),
) -> Found[Why] | None:
    """The groups of axes that have to agree, and the sizes that fit each; None if no sizes were found that fit.

    Args:
        axes: their names.
        kind: what an axis is called whatever its input (`time`): axes of one kind are the first to be taken together.
        ask: says why sizes do not fit, or None if they do.
        hints: sizes that may be the only ones that fit.
        named: sizes that may be the longest that fits, by what did not fit.
    """
    asked = _Asked(ask, named)
    try:
        start = _start(axes, kind, asked, hints)
        if start is None:
            return None
        groups = _groups(axes, kind, asked, start)
        sizes: list[Sizes[Why]] = []
        for group in groups:
            sizes.append(_sizes(_Along(asked, start, group), sizes))
    except _Exhausted:
        return None
    return Found(groups, tuple(sizes))


# --- sizes at which everything fits -------------------------------------------------------------------------------


def _start(
    axes: Sequence[str], kind: Callable[[str], str], asked: _Asked[Why], hints: Sequence[int]
) -> dict[str, int] | None:
    for sizes in itertools.islice(_starts(axes, kind, hints), _MOST_STARTS):
        if asked.fits(sizes):
            return sizes
    return None


def _starts(axes: Sequence[str], kind: Callable[[str], str], hints: Sequence[int]) -> Iterator[dict[str, int]]:
    """All axes alike; then each kind on its own. Not 1, which is broadcast to anything."""
    for size in dict.fromkeys((*_STARTS[:9], *hints[:16], *_STARTS[9:], 3, 2, *_LARGE)):
        yield dict.fromkeys(axes, size)
    kinds = sorted({kind(axis) for axis in axes})
    if 1 < len(kinds) <= _MOST_KINDS:
        for sizes in itertools.product(_MIXED_STARTS, repeat=len(kinds)):
            of_kind = dict(zip(kinds, sizes, strict=True))
            yield {axis: of_kind[kind(axis)] for axis in axes}


# --- which axes have to agree -------------------------------------------------------------------------------------


def _groups(
    axes: Sequence[str], kind: Callable[[str], str], asked: _Asked[Why], start: Mapping[str, int]
) -> tuple[tuple[str, ...], ...]:
    """Axes that can't be changed alone, but with others, are one group with the fewest others that will do.

    Nor are those free that alone go no further than a few sizes from where another one is: what pools have halved may
    be the same of 64 and 67.
    """
    stuck = {axis for axis in axes if not _moves((axis,), asked, start)}
    tied = [axis for axis in axes if axis in stuck or not _goes_far((axis,), asked, start)]
    groups: dict[str, tuple[str, ...]] = {}
    for axis in tied:
        if axis in groups:
            continue
        others = [other for other in tied if other not in groups and other != axis]
        for group in _possible(axis, others, kind, axes):
            if (_moves if axis in stuck else _goes_far)(group, asked, start):
                groups |= dict.fromkeys(group, group)
                break
    return tuple(dict.fromkeys(groups.get(axis, (axis,)) for axis in axes))


def _possible(
    axis: str, others: Sequence[str], kind: Callable[[str], str], axes: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """Groups that an axis may belong to, in the axes' own order: pairs, those of its kind, all."""
    pairs = ([axis, other] for other in others) if len(others) < _LARGEST_TIED else ()
    alike = [axis, *(other for other in others if kind(other) == kind(axis))]
    for group in (*pairs, alike, [axis, *others]):
        if len(group) > 1:
            yield tuple(sorted(group, key=axes.index))


def _moves(group: Sequence[str], asked: _Asked[Why], start: Mapping[str, int]) -> bool:
    """Whether these axes can have another size together while all others stay; 1 is none, it fits anything."""
    size = start[group[0]]
    return _fits_one_of(group, (size + 1, 2 * size, size // 2, size + 8, size - 8), asked, start)


def _goes_far(group: Sequence[str], asked: _Asked[Why], start: Mapping[str, int]) -> bool:
    """The same of a size that is another one altogether."""
    size = start[group[0]]
    return _fits_one_of(group, (2 * size, size // 2, 4 * size), asked, start)


def _fits_one_of(group: Sequence[str], sizes: Sequence[int], asked: _Asked[Why], start: Mapping[str, int]) -> bool:
    if any(start[axis] != start[group[0]] for axis in group):
        return False
    return any(asked.fits({**start, **dict.fromkeys(group, size)}) for size in sizes if size > 1)


# --- which sizes a group may have ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Along(Generic[Why]):
    """The question along one group of axes, all others at their start."""

    asked: _Asked[Why]
    others: Mapping[str, int]
    group: tuple[str, ...]

    @property
    def start(self) -> int:
        return self.others[self.group[0]]

    def why_not(self, size: int) -> Why | None:
        return self.asked.why_not({**self.others, **dict.fromkeys(self.group, size)})

    def refusals(self, sizes: Sequence[int]) -> tuple[tuple[int, Why], ...]:
        found = ((size, self.why_not(size)) for size in sizes if size > 0)
        return tuple((size, why) for size, why in found if why is not None)

    def fits(self, size: int) -> bool:
        return size > 0 and self.why_not(size) is None

    def below(self, size: int, step: int) -> int:
        """The largest up to `size` that is some steps from the start."""
        return size - (size - self.start) % step


def _sizes(along: _Along[Why], known: Sequence[Sizes[Why]]) -> Sizes[Why]:
    """The sizes that fit; those of a group before it are tried first, because height and width are mostly alike."""
    for sizes in known:
        if _holds(sizes, along):
            return sizes
    step = _step(along)
    if step is None:
        return _only(along)
    smallest = along.start % step or step
    most = _most(along, step)
    least = 1 if along.fits(smallest) else _last_that_fits(along, along.start, smallest, step)
    beyond = [most + step] if most is not None else []
    beyond += [least - step] if least > 1 else []
    beyond += [along.start + 1] if step > 1 else []
    return Sizes(least, most, step, along.start % step, along.refusals(beyond))


def _most(along: _Along[Why], step: int) -> int | None:
    """The longest that fits, first looked for among the numbers that TensorFlow names; None if there is no end."""
    longest = along.below(_LONGEST, step)
    why = along.why_not(longest)
    if why is None:
        return None
    for size in (along.below(number, step) for number in along.asked.named(why)):
        if along.start <= size < longest and along.fits(size) and not along.fits(size + step):
            return size
    return _last_that_fits(along, along.start, longest, step)


def _only(along: _Along[Why]) -> Sizes[Why]:
    """The one size that was seen to fit."""
    size = along.start
    return Sizes(size, size, refused=along.refusals([size + 1]))


def _holds(sizes: Sizes[Why], along: _Along[Why]) -> bool:
    """Whether another group's sizes are this one's too, by what fits at their ends and what does not beyond."""
    step, first = sizes.multiple, sizes.first
    last = sizes.most if sizes.most is not None else _LONGEST - (_LONGEST - sizes.remainder) % step
    ends = along.fits(first) and along.fits(last) and along.fits(first + step if sizes.most is None else last)
    if not ends or (sizes.least > 1 and along.fits(first - step)):
        return False
    return not (sizes.most is not None and along.fits(last + step)) and not (step > 1 and along.fits(first + 1))


def _step(along: _Along[Why]) -> int | None:
    """The step between sizes that fit; None if no other size fits, or none by a rule.

    Where they are no multiples of it, two more have to fit: one may be a size by itself.
    """
    start = along.start
    for step in range(1, _LARGEST_MULTIPLE + 1):
        others = (start + step, start - step if start - step >= min(start - 1, 2) else 0)
        if any(along.fits(other) for other in others):
            further = (start + 2 * step, start - 2 * step)
            return step if start % step == 0 or any(along.fits(other) for other in further) else None
    return None


def _last_that_fits(along: _Along[Why], fitting: int, beyond: int, step: int) -> int:
    """Between a size that fits and one beyond which does not, the last that fits; all are some steps from the start."""
    inside, outside = 0, (beyond - fitting) // step
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if along.fits(fitting + middle * step) else (inside, middle)
    return fitting + inside * step
