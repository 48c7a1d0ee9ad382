"""How the layers of attention are made and called."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Made, booleans, floats, listed, made, one

_QUERY, _VALUE = floats(2, 5, 4), floats(2, 6, 4)


def _masked(layer: type, **arguments: object) -> Made:
    return made(lambda: _with_masks(layer(**arguments)), _QUERY, _VALUE, booleans(2, 5), booleans(2, 6))


def _with_masks(layer: object) -> object:
    return lambda query, value, left, right: layer([query, value], mask=[left, right])  # type: ignore[operator]


def _scored(layer: type, **arguments: object) -> Made:
    return made(lambda: _with_scores(layer(**arguments)), _QUERY, _VALUE)


def _with_scores(layer: object) -> object:
    return lambda query, value: layer([query, value], return_attention_scores=True)  # type: ignore[operator]


def _headed(layer: type, *, call: dict | None = None, **arguments: object) -> Made:
    return made(lambda: _by_name(layer(**arguments), call or {}), _QUERY, _VALUE)


def _by_name(layer: object, call: dict) -> object:
    return lambda query, value: layer(query, value, **call)  # type: ignore[operator]


def _with_own_mask() -> object:
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=3)
    return lambda query, value, mask: layer(query, value, attention_mask=mask)


_GROUPED = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}

MADE: dict[str, list[Made]] = {
    "AdditiveAttention": [
        listed(layers.AdditiveAttention, _QUERY, _VALUE),
        listed(layers.AdditiveAttention, _QUERY, _VALUE, _VALUE, use_scale=False),
        _masked(layers.AdditiveAttention),
        _scored(layers.AdditiveAttention, dropout=0.5),
    ],
    "Attention": [
        listed(layers.Attention, _QUERY, _VALUE),
        listed(layers.Attention, _QUERY, _VALUE, _VALUE, use_scale=True, score_mode="concat"),
        _masked(layers.Attention),
        _scored(layers.Attention, use_scale=True),
    ],
    "GroupedQueryAttention": [
        _headed(layers.GroupQueryAttention, **_GROUPED),
        _headed(layers.GroupQueryAttention, **_GROUPED, use_bias=False, call={"return_attention_scores": True}),
        _headed(layers.GroupQueryAttention, **_GROUPED, use_gate=True),
    ],
    "MultiHeadAttention": [
        _headed(layers.MultiHeadAttention, num_heads=2, key_dim=3),
        _headed(layers.MultiHeadAttention, num_heads=2, key_dim=3, value_dim=5, output_shape=7, use_bias=False),
        _headed(layers.MultiHeadAttention, num_heads=2, key_dim=3, call={"return_attention_scores": True}),
        _headed(layers.MultiHeadAttention, num_heads=2, key_dim=3, call={"use_causal_mask": True}),
        _headed(layers.MultiHeadAttention, num_heads=2, key_dim=3, flash_attention=False, dropout=0.2),
        made(_with_own_mask, _QUERY, _VALUE, booleans(2, 5, 6)),
        made(lambda: layers.MultiHeadAttention(2, 3, attention_axes=(1, 2)), floats(2, 3, 4, 5), floats(2, 2, 4, 5)),
        one(layers.MultiHeadAttention, _QUERY, _VALUE, num_heads=1, key_dim=2, use_gate=True),
    ],
}
