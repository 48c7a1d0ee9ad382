"""Models of KerasHub, built from configurations: ten at toy size, two at base size.

Backbones that judge one text or image at a time are called on two, which is how they are used to compare.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
from keras import layers, ops

# Toy sizes: small enough that cost lies in the graph, not in the weights.
WORDS, STEPS = 100, 32
TOY: dict[str, Any] = {"vocabulary_size": WORDS, "num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32}
HEADS = {"num_heads": 2}
TABLE = {"max_sequence_length": STEPS}
BASE: dict[str, Any] = {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "intermediate_dim": 3072}


def bert_pair() -> keras.Model:
    """BERT reads two texts: the cosine of what it makes of them."""
    return _text_pair(keras_hub.models.BertBackbone(**TOY, **HEADS, **TABLE))


def albert() -> keras.Model:
    """ALBERT: one block called by every layer."""
    return keras_hub.models.AlbertBackbone(**TOY, **HEADS, **TABLE, embedding_dim=8)


def distilbert_pair() -> keras.Model:
    """DistilBERT reads two texts."""
    return _text_pair(keras_hub.models.DistilBertBackbone(**TOY, **HEADS, **TABLE))


def roberta_classifier() -> keras.Model:
    """RoBERTa with the head of a classifier of three classes."""
    backbone = keras_hub.models.RobertaBackbone(**TOY, **HEADS, **TABLE)
    return keras_hub.models.RobertaTextClassifier(backbone, num_classes=3, preprocessor=None)


def deberta() -> keras.Model:
    """DeBERTaV3: one table of relative positions read by every layer."""
    return keras_hub.models.DebertaV3Backbone(**TOY, **HEADS, **TABLE, bucket_size=8)


def gpt2_generator() -> keras.Model:
    """GPT-2 with scores for the next word by the table that reads the words."""
    backbone = keras_hub.models.GPT2Backbone(**TOY, **HEADS, **TABLE)
    return keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)


def gemma_generator() -> keras.Model:
    """Gemma: rotary positions, grouped queries, and a tied table of words."""
    backbone = keras_hub.models.GemmaBackbone(**TOY, num_query_heads=2, num_key_value_heads=1, head_dim=8)
    return keras_hub.models.GemmaCausalLM(backbone, preprocessor=None)


def bart() -> keras.Model:
    """BART: encoder and decoder read words by one table."""
    return keras_hub.models.BartBackbone(**TOY, **HEADS, **TABLE)


def whisper() -> keras.Model:
    """Whisper: sound (batch, steps, 80) beside words."""
    return keras_hub.models.WhisperBackbone(
        **TOY, **HEADS, max_encoder_sequence_length=2 * STEPS, max_decoder_sequence_length=STEPS
    )


def vit_pair() -> keras.Model:
    """A vision transformer sees two images of (32, 32, 3)."""
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    left, right = (keras.Input((32, 32, 3), name=name) for name in ("left", "right"))
    vectors = [layers.GlobalAveragePooling1D()(backbone(image)) for image in (left, right)]
    return keras.Model([left, right], layers.Dot(axes=1, normalize=True, name="cosine")(vectors))


def bert_base_pair() -> keras.Model:
    """BERT at base size reads two texts."""
    return _text_pair(keras_hub.models.BertBackbone(**BASE, vocabulary_size=30_522))


def albert_base() -> keras.Model:
    """ALBERT at base size: twelve calls of one block."""
    return keras_hub.models.AlbertBackbone(**BASE, vocabulary_size=30_000, embedding_dim=128)


def _text_pair(backbone: keras.Model) -> keras.Model:
    """The cosine of two texts, each the mean of what the backbone makes of its words that are not padding."""
    views = ("question", "answer")
    inputs = {view: _view(view, backbone) for view in views}
    vectors = [_mean(_steps(backbone(inputs[view])), inputs[view]["padding_mask"]) for view in views]
    cosine = layers.Dot(axes=1, normalize=True, name="cosine")(vectors)
    return keras.Model([tensor for view in views for tensor in inputs[view].values()], cosine)


def _view(view: str, backbone: keras.Model) -> dict[str, keras.KerasTensor]:
    return {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=f"{view}_{name}")
        for name, tensor in backbone.input.items()
    }


def _steps(answer: Any) -> keras.KerasTensor:
    return answer["sequence_output"] if isinstance(answer, dict) else answer


def _mean(steps: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    weights = ops.expand_dims(ops.cast(mask, steps.dtype), -1)
    return ops.sum(steps * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)
