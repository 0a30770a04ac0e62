"""Tiny ONNX graphs and model folders, for models that the committed ones are not."""

import hashlib
import json
from datetime import UTC, datetime

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from service.manifest import Attention, Lengths, Manifest, Parity

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT32


def mean_model(attention=None, features=2, scale=1.0, time="time"):
    """prediction: `scale` × the mean over time and features. attention: None, "shared" or "per_feature"; softmax of
    the inputs over time."""
    constants = {"scale": np.float32(scale), "axes": np.array([1, 2]), "keep": np.array([1]), "last": np.array([2])}
    nodes = [
        helper.make_node("ReduceMean", ["sequences", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "keep"], ["column"]),
        helper.make_node("Mul", ["column", "scale"], ["prediction"]),
    ]
    outputs = [helper.make_tensor_value_info("prediction", FLOAT, ["batch", 1])]
    if attention:
        per_feature = attention == "per_feature"
        nodes.append(helper.make_node("Softmax", ["sequences"], ["attention" if per_feature else "each"], axis=1))
        if not per_feature:
            nodes.append(helper.make_node("ReduceMean", ["each", "last"], ["attention"], keepdims=0))
        shape = ["batch", "time", features] if per_feature else ["batch", "time"]
        outputs.append(helper.make_tensor_value_info("attention", FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("sequences", FLOAT, ["batch", time, features])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def misleading_model(attention=True):
    """prediction: the mean over two features of step 7 of 10. attention: falls from the first step to the last but that
    of step 7, which has none.
    """
    weights = np.linspace(0.2, 0.02, 10, dtype=np.float32)
    weights[7] = 0
    constants = {"step": np.int64(7), "zero": np.float32(0), "weights": weights / weights.sum(), "last": np.array([2])}
    constants["one"] = np.array([1])
    nodes = [
        helper.make_node("ReduceMean", ["sequences", "last"], ["means"], keepdims=0),
        helper.make_node("Gather", ["means", "step"], ["value"], axis=1),
        helper.make_node("Unsqueeze", ["value", "one"], ["prediction"]),
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "weights"], ["attention"]),
    ]
    outputs = [helper.make_tensor_value_info("prediction", FLOAT, ["batch", 1])]
    if attention:
        outputs.append(helper.make_tensor_value_info("attention", FLOAT, ["batch", 10]))
    graph = helper.make_graph(
        nodes if attention else nodes[:3],
        "misleading",
        [helper.make_tensor_value_info("sequences", FLOAT, ["batch", 10, 2])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def failing_model(features=2):
    """Fails to run where the sum over time and features is 100 or more; else predicts 0."""
    constants = {"axes": np.array([1, 2]), "table": np.zeros((100, 1), np.float32)}
    nodes = [
        helper.make_node("ReduceSum", ["sequences", "axes"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "row"], ["prediction"]),
    ]
    graph = helper.make_graph(
        nodes,
        "failing",
        [helper.make_tensor_value_info("sequences", FLOAT, ["batch", "time", features])],
        [helper.make_tensor_value_info("prediction", FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def write_model(root, name="mean", version=1, graph=None, attention=None, declare=None):
    """Writes `root/name/version/`; `declare` replaces fields of its model.json. Returns the folder."""
    graph = graph or mean_model(attention)
    axes = {None: None, "shared": ("time",), "per_feature": ("time", "feature")}[attention]
    manifest = Manifest(
        name=name,
        version=version,
        description="the mean",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        task="regression",
        features=["x0", "x1"],
        labels=[],
        lengths=Lengths(min=3, max=3),
        attention=axes and Attention(kind="softmax", position="before", axes=axes),
        parity=Parity(prediction=0),
        sha256=hashlib.sha256(graph).hexdigest(),
    )
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph)
    (folder / "model.json").write_text(json.dumps(manifest.model_dump(mode="json") | (declare or {})))
    return folder
