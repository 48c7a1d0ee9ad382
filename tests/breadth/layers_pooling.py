"""How the layers of pooling are made and called."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Made, floats, one

_DRAWS = {"1D": floats(2, 9, 3), "2D": floats(2, 9, 8, 3), "3D": floats(2, 7, 6, 8, 3)}
_FIRST = {"data_format": "channels_first"}


def _made(layer: str, *configurations: dict) -> list[Made]:
    cls = getattr(layers, layer)
    return [one(cls, _DRAWS[layer[-2:]], **configuration) for configuration in configurations]


_POOLS = (
    {"pool_size": 2},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"pool_size": 2, "strides": 1},
    {**_FIRST, "pool_size": 2},
)
_GLOBAL = ({}, {"keepdims": True}, _FIRST)


def _adaptive(rank: int) -> tuple[dict, ...]:
    """Sizes that divide the input's and sizes that do not, and one for all axes."""
    return (
        {"output_size": (3, 4, 2)[:rank] if rank > 1 else 3},
        {"output_size": (4, 5, 3)[:rank] if rank > 1 else 4},
        {"output_size": (9, 3, 8)[:rank] if rank > 1 else 9},
        {"output_size": 2, **_FIRST},
    )


MADE: dict[str, list[Made]] = {
    **{
        f"{kind}Pooling{rank}D": _made(f"{kind}Pooling{rank}D", *_POOLS)
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    },
    **{
        f"Global{kind}Pooling{rank}D": _made(f"Global{kind}Pooling{rank}D", *_GLOBAL)
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    },
    **{
        f"Adaptive{kind}Pooling{rank}D": _made(f"Adaptive{kind}Pooling{rank}D", *_adaptive(rank))
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    },
}
