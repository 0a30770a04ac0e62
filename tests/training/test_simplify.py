import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.export import check_contract, to_onnx
from training.models import ModelConfig, Scaling, build
from training.simplify import simplify

TIME, FEATURES = 6, 3


def model(**config):
    scaling = Scaling(mean=[0.5] * FEATURES, variance=[2.0] * FEATURES)
    return build(ModelConfig(**config), task="binary", outputs=1, time=TIME, scaling=scaling)


def operators(proto):
    return [node.op_type for node in proto.graph.node]


def run(proto, feeds):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


@pytest.mark.parametrize("config", [{"position": "before"}, {"position": "after"}, {"position": "after", "layers": 2}])
def test_what_the_conversion_only_computes_shapes_with_is_gone(config):
    found = to_onnx(check_contract(model(**config)))
    assert not {"Shape", "Expand", "ConstantOfShape"} & set(operators(found))
    assert all(len(node.input) == 4 for node in found.graph.node if node.op_type == "LSTM")  # no initial states


def test_the_answers_stay_the_same_to_the_bit(monkeypatch):
    monkeypatch.setattr("training.export.simplify", lambda proto: None)
    proto = to_onnx(check_contract(model(position="after", score="additive", bidirectional=True)))
    feeds = {"sequences": np.random.default_rng(0).standard_normal((5, TIME, FEATURES)).astype(np.float32)}
    before, count = run(proto, feeds), len(proto.graph.node)
    simplify(proto)
    assert len(proto.graph.node) < count
    for one, other in zip(before, run(proto, feeds), strict=True):
        np.testing.assert_array_equal(one, other)


def test_initial_states_that_are_not_zero_stay():
    def lstm(value):
        weights = [("W", (1, 8, FEATURES)), ("R", (1, 8, 2)), ("B", (1, 16))]
        constants = [numpy_helper.from_array(np.full(shape, 0.1, np.float32), name) for name, shape in weights]
        constants.append(numpy_helper.from_array(np.full((1, 1, 2), value, np.float32), "state"))
        node = helper.make_node("LSTM", ["x", "W", "R", "B", "", "state", "state"], ["", "y"], hidden_size=2)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (TIME, 1, FEATURES))
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 2))
        proto = helper.make_model(helper.make_graph([node], "g", [x], [y], constants))
        simplify(proto)
        onnx.checker.check_model(proto)
        return proto.graph

    assert list(lstm(0).node[0].input) == ["x", "W", "R", "B"]
    assert {one.name for one in lstm(0).initializer} == {"W", "R", "B"}
    assert list(lstm(1).node[0].input) == ["x", "W", "R", "B", "", "state", "state"]
