"""Defects elsewhere that this project works around: each test fails on the day its defect is gone.

Then the workaround named in its docstring can be dropped.
"""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers, ops
from onnx import numpy_helper

from tests.zoo import ZOO

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def keras_onnx(model: keras.Model, path) -> onnx.ModelProto:
    """What `model.export(format="onnx")` writes."""
    model.export(path, format="onnx", verbose=False)
    return onnx.load(path)


def test_keras_names_an_onnx_output_identity(tmp_path) -> None:
    """`export/naming.py` gives Keras' names."""
    model = ZOO["dense_on_two_views"]()
    model([np.zeros((1, 4), "float32"), np.zeros((1, 7), "float32")])
    proto = keras_onnx(model, tmp_path / "m.onnx")
    assert [value.name for value in proto.graph.output] == ["Identity:0"]


def test_keras_names_a_saved_models_output_output_0(tmp_path) -> None:
    """`export/saved_model.py` gives Keras' names."""
    ZOO["plain_sequential"]().export(tmp_path / "m", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "m").signatures["serving_default"]
    assert list(loaded.structured_outputs) == ["output_0"]


def test_keras_stores_the_weights_of_a_masked_layer_called_twice_twice(tmp_path) -> None:
    """One native node and one loop (tensorflow-onnx #1871): `export/recurrent/` makes both native."""
    model = ZOO["masked_encoder_decoder"]()
    model([np.ones((1, 3), "int32")] * 2)
    proto = keras_onnx(model, tmp_path / "m.onnx")
    stored = sum(numpy_helper.to_array(t).size for t in proto.graph.initializer if numpy_helper.to_array(t).size > 4)
    assert stored > 1.3 * model.count_params()


def test_keras_writes_an_onnx_file_with_gelu_that_does_not_load(tmp_path) -> None:
    """tensorflow-onnx #2347, #2463: `export/operations/erfc.py`."""
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(2, activation="gelu")(x))
    model(np.zeros((1, 3), "float32"))
    keras_onnx(model, tmp_path / "m.onnx")
    with pytest.raises(Exception, match="Erfc"):
        onnxruntime.InferenceSession(tmp_path / "m.onnx")


def test_tensorflow_saves_a_keras_model_that_servers_can_not_restore(tmp_path) -> None:
    """keras #20096, #19274, tensorflow/serving #2250: a plain tf.Module is what `export/saved_model.py` saves."""
    model = ZOO["plain_sequential"]()
    tf.saved_model.save(model, str(tmp_path / "m"))
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "m"))
        signature = loaded.signature_def["serving_default"]
        output = next(iter(signature.outputs.values())).name
        feed = {value.name: np.zeros((1, 5), "float32") for value in signature.inputs.values()}
        with pytest.raises(tf.errors.FailedPreconditionError, match="Could not find variable"):
            session.run(output, feed)


def test_keras_takes_the_steps_of_time_distributed_from_the_batch() -> None:
    """`graph/time_distributed.py`; with the number of steps known it takes them from the time axis."""
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, layers.TimeDistributed(layers.Dense(2))(x))
    traced = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, None, 3))])
    assert traced(np.ones((2, 5, 3), "float32")).shape == (2, 2, 2)
    assert model(np.ones((2, 5, 3), "float32")).shape == (2, 5, 2)


def test_keras_cuts_an_image_smaller_than_its_crop_to_one_row() -> None:
    """`graph/center_crop.py`; eagerly it resizes, as documented."""
    x = keras.Input((None, None, 3), name="x")
    model = keras.Model(x, layers.CenterCrop(4, 3)(x))
    traced = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, None, None, 3))])
    image = np.ones((2, 2, 7, 3), "float32")
    assert traced(image).shape == (2, 1, 3, 3)
    assert model(image).shape == (2, 4, 3, 3)


def test_keras_can_not_unfold_a_free_batch() -> None:
    """`graph/unfold.py`; of a batch that it knows it can."""
    x = keras.Input((3, 4, 4), name="x")
    model = keras.Model(x, ops.unfold(x, 2))
    traced = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((None, 3, 4, 4))])
    with pytest.raises(TypeError, match="Failed to convert elements of"):
        traced(np.ones((2, 3, 4, 4), "float32"))
    assert model(np.ones((2, 3, 4, 4), "float32")).shape == (2, 12, 9)
