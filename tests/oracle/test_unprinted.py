"""What a layer prints."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

from pipeline.oracle.snapshot import Snapshot


def test_nothing_is_printed_while_the_snapshot_is_read(tmp_path) -> None:
    """Neither where others wait for it nor in a branch; the layer prints as ever afterwards."""
    printed = tmp_path / "printed"

    def telling(x):
        def in_a_branch():
            tf.print("positive", x, output_stream=f"file://{printed}")
            return x * 2.0

        with tf.control_dependencies([tf.print("seen", tf.shape(x), output_stream=f"file://{printed}")]):
            return tf.cond(tf.reduce_mean(x) > 0, in_a_branch, lambda: x)

    x = keras.Input((4,))
    model = keras.Model(x, layers.Lambda(telling, output_shape=(4,))(x))
    snapshot = Snapshot(model)

    def call(x):
        with snapshot.read():
            return model(x, training=False)

    graph = tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec((None, 4))).graph.as_graph_def()
    in_functions = (node for function in graph.library.function for node in function.node_def)
    assert "PrintV2" not in {node.op for node in (*graph.node, *in_functions)}
    call(tf.ones((2, 4)))
    assert not printed.exists()
    model(tf.ones((2, 4)))
    assert printed.exists()
