"""Every combination of score, normalizer, position and LSTM that a configuration accepts: it trains, exports fused,
agrees and is served."""

import itertools

import keras
import numpy as np
import onnx
import pytest

from service.manifest import Attention
from service.models.loading import load
from training.export import check_contract
from training.models import ModelConfig, Scaling, build
from training.publish import publish

TIME, FEATURES, SAMPLES = 3, 2, 74
SCALING = Scaling(mean=[0.5, -0.5], variance=[2.0, 1.0])
SCORES = ["dense", "local", "dot", "cosine", "additive", "general"]
NORMALIZERS = ["softmax", "sum", "sparsemax"]
ALL = [
    ModelConfig(
        position=position,
        score=score,
        normalizer=normalizer,
        per_feature=per_feature,
        bidirectional=bidirectional,
        layers=layers,
        units=3,
        variable_length=variable_length,
    )
    for score, normalizer, position, per_feature, bidirectional, variable_length, layers in itertools.product(
        SCORES, NORMALIZERS, ["before", "after"], [False, True], [False, True], [False, True], [1, 2]
    )
    # A second layer changes nothing that depends on the normalizer or on the vectors: once for each of the others.
    if (layers == 1 or (normalizer == "softmax" and not per_feature))
    and not (score == "cosine" and per_feature)  # refused, see test_models.py
]
WITHOUT = [
    ModelConfig(position="none", bidirectional=bidirectional, layers=layers, units=3, variable_length=variable_length)
    for bidirectional, layers, variable_length in itertools.product([False, True], [1, 2], [False, True])
]


def name(config):
    return "-".join(f"{value}" for value in config.model_dump(exclude_defaults=True, exclude={"units"}).values())


def sample(variable_length):
    random = np.random.default_rng(0)
    lengths = random.integers(1 if variable_length else TIME, TIME + 1, SAMPLES).astype(np.int32)
    sequences = random.standard_normal((SAMPLES, TIME, FEATURES)).astype(np.float32)
    sequences[np.arange(TIME) >= lengths[:, None]] = 0
    return sequences, lengths


def train_one_step(model, inputs):
    """Trains on one batch; returns how many weights changed. All must stay finite."""
    trained = keras.Model(model.input, model.output["prediction"])
    trained.compile("sgd", "binary_crossentropy", run_eagerly=True)
    before = [weight.numpy() for weight in trained.trainable_variables]
    trained.train_on_batch(inputs, np.arange(SAMPLES) % 2)
    after = [weight.numpy() for weight in trained.trainable_variables]
    assert all(np.isfinite(weight).all() for weight in after)
    return sum(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("config", ALL + WITHOUT, ids=name)
def test_it_trains_exports_fused_agrees_and_is_served(config, tmp_path):
    keras.utils.clear_session()  # or the graphs of all the tests before slow this one down
    keras.utils.set_random_seed(0)
    model = build(config, task="binary", outputs=1, time=TIME, scaling=SCALING)
    sequences, lengths = sample(config.variable_length)
    inputs = {"sequences": sequences} | ({"lengths": lengths} if config.variable_length else {})
    assert train_one_step(model, inputs) >= 2

    attention = config.position != "none"
    per_feature = config.position == "before" and config.per_feature
    folder = publish(  # its gates hold parity to 1e-5, weights to 1 and padding to 0, and refuse loops
        check_contract(model, attention=attention),
        tmp_path,
        sequences=sequences,
        lengths=lengths,
        name="grid",
        description="",
        task="binary",
        features=["a", "b"],
        labels=["no", "yes"],
        attention=Attention(kind="x", position="x", axes=("time", "feature") if per_feature else ("time",))
        if attention
        else None,
    )
    operators = [node.op_type for node in onnx.load(folder / "model.onnx").graph.node]
    # One operator a layer and direction, or one for both directions.
    assert config.layers <= operators.count("LSTM") <= config.layers * (1 + config.bidirectional)
    served = load(folder, "cpu").runtime.run(sequences, lengths)
    expected = model(inputs)
    np.testing.assert_allclose(served.prediction, expected["prediction"], atol=1e-5)
    if attention:
        np.testing.assert_allclose(served.attention, expected["attention"], atol=1e-5)
