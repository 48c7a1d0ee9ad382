"""Every zoo model as ONNX, at the cheap points of the zoo's table, and what no table shows."""

from __future__ import annotations

import keras
import onnx
import pytest
import tensorflow as tf

from pipeline.export.onnx_model import export_onnx
from pipeline.graph.flatten import flatten_labelled
from pipeline.graph.read import read
from pipeline.graph.unshare import unshare
from pipeline.oracle.freeze import freeze
from pipeline.records import Verdict
from pipeline.verify import onnx_half
from tests.sampling import sampled
from tests.zoo import ZOO, fill
from tests.zoo.peer import node_count
from tests.zoo.points import POINTS
from tests.zoo.subject import Refusal, converts, export

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def failures(verdict: Verdict) -> list[str]:
    """What did not hold, in words."""
    return [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]


@pytest.mark.parametrize("name", sampled(sorted(ZOO), 40, one_in_ci=3))
def test_every_model_holds_at_the_points_that_its_export_tells_by_itself(name: str, tmp_path) -> None:
    """It converts or is refused as expected; then answers, weights, names, call sites, native nodes and the checker.

    Every kind of input and every round of sharing, of few rows; the zoo's table has more.
    """
    outcome = export(name, tmp_path, "quick")
    assert converts(outcome).note == ""
    if isinstance(outcome, Refusal):
        assert not (tmp_path / "model.onnx").exists()
        return
    judged = {point: judge(outcome) for point, judge in POINTS.items()}
    assert {point: found.note for point, found in judged.items() if found.holds is False} == {}


def test_a_recurrent_node_counts_as_one_whatever_is_inside_and_a_condition_as_all_of_it() -> None:
    """How `lean` counts: a loop of forty nodes is one, as a native node is."""
    inner = onnx.parser.parse_graph("body (float[1] x) => (float[1] y) { z = Abs(x) y = Neg(z) }")
    nodes = [onnx.helper.make_node(kind, [], [kind], body=inner) for kind in ("Loop", "Other")]
    nodes += [onnx.helper.make_node(kind, [], [kind]) for kind in ("LSTM", "Constant", "Add")]
    assert node_count(onnx.helper.make_graph(nodes, "g", [], [])) == 1 + (1 + 2) + 1 + 1


@pytest.mark.parametrize("name", ["dense_on_two_views", "sequential_triplet", "gru_with_every_output"])
def test_a_twin_with_equal_weights_stores_them_all(name: str, tmp_path) -> None:
    """tf2onnx merges constants of equal value; copies that happen to be equal are weights of their own."""
    twin = unshare(ZOO[name]())
    truth = freeze(twin, tmp_path, effort="quick")
    exported = export_onnx(flatten_labelled(twin), read(twin), truth.signature, opset=18)
    stored = {entry.initializer for entry in exported.weight_map}
    assert len(stored) == len(twin.weights)
    assert sum(entry.size for entry in exported.weight_map) == twin.count_params()


class FusedNormalisation(keras.layers.BatchNormalization):
    """A batch normalisation by TensorFlow's fused kernel, which tf2onnx would fold into the convolution before it."""

    def call(self, x, training=None, mask=None):
        """At inference, whatever `training` says."""
        weights = [tf.convert_to_tensor(w) for w in (self.gamma, self.beta, self.moving_mean, self.moving_variance)]
        return tf.compat.v1.nn.fused_batch_norm(x, *weights, epsilon=self.epsilon, is_training=False)[0]


def test_a_batch_normalisation_is_not_folded_into_a_shared_convolution(tmp_path) -> None:
    """The kernel has other readers: it is stored once, as it is, and so is every weight of the normalisation."""
    conv, norm = keras.layers.Conv2D(3, 3, use_bias=False, name="conv"), FusedNormalisation(name="norm")
    x, y = keras.Input((8, 8, 2), name="x"), keras.Input((8, 8, 2), name="y")
    model = keras.Model([x, y], [norm(conv(x)), conv(y)])
    fill(model, 0)
    truth = freeze(model, tmp_path, effort="quick")
    exported = export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18)
    exported.save(tmp_path / "model.onnx")
    assert all(entry.initializer is not None for entry in exported.weight_map)
    assert len(exported.weight_map) == len(model.weights)
    assert failures(onnx_half.verify(tmp_path / "model.onnx", tmp_path)) == []


def test_nothing_is_computed_from_a_weight_beforehand(tmp_path) -> None:
    """What reads the variance of a normalisation reads the variance, not its root times something."""
    model = ZOO["siamese_tower_with_dropout"]()
    truth = freeze(model, tmp_path, effort="quick")
    exported = export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18)
    by_name = {entry.weight.rpartition("/")[2]: entry for entry in exported.weight_map}
    assert by_name["moving_variance"].initializer is not None
    assert by_name["moving_variance"].blocks == ()


def test_the_weight_map_names_the_call_sites_that_read_a_weight(tmp_path) -> None:
    """Submodels seen through, in call order."""
    model = ZOO["tower_in_a_tower"]()
    truth = freeze(model, tmp_path, effort="quick")
    exported = export_onnx(flatten_labelled(model), read(model), truth.signature, opset=18)
    (kernel,) = [
        e for e in exported.weight_map if e.call_sites and "inner_dense" in e.call_sites[0] and len(e.shape) == 2
    ]
    assert kernel.call_sites == tuple(f"outer/inner/inner_dense/call_{number}" for number in (1, 2, 3, 4))
