"""What a search for sizes finds, against rules that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from pipeline.truth.axis_search import Found, search

Sizes = Mapping[str, int]


def kind(axis: str) -> str:
    """The last part of a name."""
    return axis.rpartition("_")[2]


def found(rule: Callable[[Sizes], bool], *axes: str, hints: tuple[int, ...] = ()) -> Found[str]:
    """What the search finds for a rule; the reason says which sizes were refused."""
    result = search(axes, kind, lambda sizes: None if rule(sizes) else str(dict(sizes)), hints)
    assert result is not None
    return result


def ends(result: Found[str]) -> list[tuple[int, int | None, int]]:
    """Least, most and multiple of each group."""
    return [(sizes.least, sizes.most, sizes.multiple) for sizes in result.sizes]


def test_axes_of_which_nothing_is_wanted_stay_alone_and_free() -> None:
    """No group, no rule."""
    result = found(lambda sizes: True, "left_time", "right_time")
    assert result.groups == (("left_time",), ("right_time",))
    assert all(sizes.is_free for sizes in result.sizes)


def test_axes_that_have_to_agree_are_one_group() -> None:
    """Others stay out of it, of the same kind or not."""
    axes = ("ids_time", "image_width", "mask_time", "other_time")
    result = found(lambda sizes: sizes["ids_time"] == sizes["mask_time"], *axes)
    assert result.groups == (("ids_time", "mask_time"), ("image_width",), ("other_time",))


def test_two_pairs_that_agree_are_two_groups() -> None:
    """All four of them have one kind."""
    result = found(lambda s: s["a_time"] == s["c_time"] and s["b_time"] == s["d_time"], *(f"{n}_time" for n in "abcd"))
    assert result.groups == (("a_time", "c_time"), ("b_time", "d_time"))


def test_axes_that_agree_but_for_what_pools_drop_are_one_group() -> None:
    """Each may be 64 to 67 beside another of 64; together they may be anything."""
    result = found(lambda sizes: sizes["a_time"] // 4 == sizes["b_time"] // 4 >= 12, "a_time", "b_time")
    assert result.groups == (("a_time", "b_time"),)
    assert ends(result) == [(48, None, 1)]


def test_five_axes_that_agree_are_found_at_once() -> None:
    """Pairs don't move then; those of one kind do."""
    axes = tuple(f"{name}_time" for name in "abcde")
    assert found(lambda sizes: len(set(sizes.values())) == 1, *axes).groups == (axes,)


@pytest.mark.parametrize("most", [2, 5, 6, 30, 32, 77, 512, 5000])
def test_the_longest_that_fits_is_exact(most) -> None:
    """And what was refused is the next."""
    result = found(lambda sizes: sizes["time"] <= most, "time")
    assert ends(result) == [(1, most, 1)]
    assert result.sizes[0].refused == ((most + 1, str({"time": most + 1})),)


@pytest.mark.parametrize("least", [2, 5, 13, 33, 60, 200, 320, 9000])
def test_the_shortest_that_fits_is_exact(least) -> None:
    """And what was refused is the one before."""
    result = found(lambda sizes: sizes["time"] >= least, "time")
    assert ends(result) == [(least, None, 1)]
    assert result.sizes[0].refused == ((least - 1, str({"time": least - 1})),)


@pytest.mark.parametrize("multiple", [2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64])
def test_the_multiple_is_exact(multiple) -> None:
    """For every stride that models have."""
    assert ends(found(lambda sizes: sizes["width"] % multiple == 0, "width")) == [(1, None, multiple)]


@pytest.mark.parametrize(
    ("multiple", "remainder", "least"), [(2, 1, 1), (4, 3, 3), (8, 4, 60), (16, 12, 188), (5, 1, 1)]
)
def test_what_is_left_of_a_multiple_is_exact(multiple, remainder, least) -> None:
    """Unpadded convolutions between pools take 188, 204, 220 pixels."""
    result = found(lambda sizes: sizes["width"] % multiple == remainder and sizes["width"] >= least, "width")
    assert ends(result) == [(max(least, 1) if least > remainder else 1, None, multiple)]
    assert result.sizes[0].remainder == remainder


def test_two_sizes_by_themselves_are_no_rule() -> None:
    """One of them is promised."""
    assert ends(found(lambda sizes: sizes["width"] in (16, 21), "width")) == [(16, 16, 1)]


def test_bounds_and_a_multiple_are_found_together() -> None:
    """Multiples of 4 from 9 to 50: 12 to 48."""
    result = found(lambda sizes: sizes["time"] % 4 == 0 and 9 <= sizes["time"] <= 50, "time")
    assert ends(result) == [(12, 48, 4)]


def test_a_group_has_sizes_of_its_own() -> None:
    """Two that agree and end at 20, beside a free one and a multiple of 8."""
    result = found(
        lambda s: s["a_time"] == s["b_time"] <= 20 and s["x_height"] % 8 == 0, "a_time", "b_time", "x_height", "x_width"
    )
    assert result.groups == (("a_time", "b_time"), ("x_height",), ("x_width",))
    assert ends(result) == [(1, 20, 1), (1, None, 8), (1, None, 1)]


def test_one_size_is_found_where_a_table_hints_at_it() -> None:
    """37 is on nobody's list."""
    assert ends(found(lambda sizes: sizes["time"] == 37, "time", hints=(9, 37))) == [(37, 37, 1)]


def test_axes_of_different_kinds_may_need_different_sizes() -> None:
    """A short text beside a large image."""
    result = found(lambda s: s["text_time"] <= 6 and s["image_height"] >= 50, "text_time", "image_height")
    assert ends(result) == [(1, 6, 1), (50, None, 1)]


def test_nothing_is_said_where_nothing_fits() -> None:
    """Nor where more would have to be tried than is tried."""
    assert search(("time",), kind, lambda sizes: "no", ()) is None
    many = tuple(f"a{number}_{number}" for number in range(120))
    assert search(many, kind, lambda s: None if len(set(s.values())) == 1 else "no", ()) is None


def test_no_combination_is_asked_twice() -> None:
    """Each costs an import of the graph."""
    asked: list[tuple[int, ...]] = []

    def ask(sizes: Sizes) -> str | None:
        asked.append(tuple(sizes.values()))
        return None if sizes["a_time"] == sizes["b_time"] <= 32 else "no"

    search(("a_time", "b_time"), kind, ask, ())
    assert len(asked) == len(set(asked)) < 40


def test_numbers_that_a_refusal_names_are_tried_first() -> None:
    """The end of a table of 1,000 rows takes three questions, not sixteen."""
    asked: list[int] = []

    def ask(sizes: Sizes) -> int | None:
        asked.append(sizes["time"])
        return None if sizes["time"] <= 1000 else 1000

    result = search(("time",), kind, ask, (), lambda why: (why,))
    assert result is not None
    assert result.sizes[0].most == 1000
    assert len(asked) < 8
