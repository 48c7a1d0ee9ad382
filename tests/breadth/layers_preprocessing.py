"""How the layers that turn numbers, words and sound into features are made and called."""

from __future__ import annotations

from keras import layers

from tests.breadth.example import Draw, Made, floats, integers, made, one

_IDS = integers(5, 2, 3)
_STRINGS = Draw((2, 3), "string")


def _looked_up(**arguments: object) -> Made:
    return one(
        layers.IntegerLookup, integers(60, 2, 3, least=10, dtype="int64"), vocabulary=[12, 20, 30, 41], **arguments
    )


def _counted(mode: str, **arguments: object) -> Made:
    return one(layers.CategoryEncoding, _IDS, num_tokens=5, output_mode=mode, **arguments)


def _weighted_count() -> object:
    layer = layers.CategoryEncoding(5, output_mode="count")
    return lambda ids, weights: layer(ids, count_weights=weights)


MADE: dict[str, list[Made]] = {
    "CategoryEncoding": [
        *(_counted(mode) for mode in ("multi_hot", "count")),
        one(layers.CategoryEncoding, integers(5, 2, 1), num_tokens=5, output_mode="one_hot"),
        made(_weighted_count, _IDS, floats(2, 3)),
    ],
    "Discretization": [
        one(layers.Discretization, floats(2, 3), bin_boundaries=[-1.0, 0.0, 1.5]),
        *(
            one(layers.Discretization, floats(2, 3), bin_boundaries=[-1.0, 0.0, 1.5], output_mode=mode)
            for mode in ("multi_hot", "count")
        ),
        one(layers.Discretization, floats(2, 1), bin_boundaries=[-1.0, 0.0, 1.5], output_mode="one_hot"),
    ],
    "HashedCrossing": [made(lambda: _crossed(), integers(9, 2), integers(9, 2))],
    "Hashing": [one(layers.Hashing, integers(99, 2, 3), num_bins=4)],
    "IntegerLookup": [
        _looked_up(),
        _looked_up(mask_token=0),
        _looked_up(num_oov_indices=2),
        *(_looked_up(output_mode=mode) for mode in ("multi_hot", "count")),
        _looked_up(output_mode="tf_idf", idf_weights=[1.0, 2.0, 0.5, 1.5]),
        _looked_up(invert=True),
    ],
    "MelSpectrogram": [
        one(
            layers.MelSpectrogram, floats(2, 300), num_mel_bins=8, sampling_rate=800, sequence_stride=32, fft_length=64
        ),
        one(layers.MelSpectrogram, floats(300), num_mel_bins=4, sampling_rate=800, sequence_stride=64, fft_length=128),
    ],
    "STFTSpectrogram": [
        one(layers.STFTSpectrogram, floats(2, 64, 1), mode=mode, frame_length=16, frame_step=8, fft_length=16)
        for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
    ],
    "StringLookup": [one(layers.StringLookup, _STRINGS, vocabulary=["a", "b"])],
    "TextVectorization": [one(layers.TextVectorization, _STRINGS, vocabulary=["a", "b"])],
}


def _crossed() -> object:
    layer = layers.HashedCrossing(num_bins=4)
    return lambda left, right: layer((left, right))
