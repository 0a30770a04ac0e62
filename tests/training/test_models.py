import keras
import numpy as np
import pytest

from training.models import ModelConfig, Scaling, build

TIME, FEATURES = 6, 2
PLAIN = Scaling(mean=[0, 0], variance=[1, 1])
POSITIONS = ["before", "after", "none"]
LENGTHS = np.array([6, 2, 1, 4], np.int32)


def make(config, task="binary", time=TIME, scaling=PLAIN, seed=0):
    outputs = {"multiclass": 3, "forecast": 4}.get(task, 1)
    keras.utils.set_random_seed(seed)
    return build(config, task=task, outputs=outputs, time=time, scaling=scaling)


def feeds(variable_length, seed=0):
    sequences = np.random.default_rng(seed).normal(size=(4, TIME, FEATURES)).astype(np.float32)
    return {"sequences": sequences} | ({"lengths": LENGTHS} if variable_length else {})


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "forecast"])
@pytest.mark.parametrize("variable_length", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_inputs_and_outputs_have_their_names_and_shapes(position, variable_length, task):
    model = make(ModelConfig(position=position, units=3, variable_length=variable_length), task)
    time = None if position == "none" and variable_length else TIME
    shapes = {name: tensor.shape for name, tensor in model.input.items()}
    assert shapes == {"sequences": (None, time, FEATURES)} | ({"lengths": (None,)} if variable_length else {})
    assert {name: tensor.dtype for name, tensor in model.input.items()} == {
        name: {"sequences": "float32", "lengths": "int32"}[name] for name in shapes
    }
    outputs = {name: tuple(value.shape) for name, value in model(feeds(variable_length)).items()}
    prediction = (4, {"multiclass": 3, "forecast": 4}.get(task, 1))
    assert outputs == {"prediction": prediction} | ({} if position == "none" else {"attention": (4, TIME)})


@pytest.mark.parametrize("variable_length", [False, True])
@pytest.mark.parametrize(("position", "shape"), [("before", (4, TIME, FEATURES)), ("after", (4, TIME))])
def test_weights_per_feature_are_over_input_features_or_averaged_over_units(position, shape, variable_length):
    model = make(ModelConfig(position=position, per_feature=True, units=3, variable_length=variable_length))
    attention = np.asarray(model(feeds(variable_length))["attention"])
    assert attention.shape == shape
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("task", "axis_sum"), [("binary", None), ("multiclass", 1)])
def test_classes_are_predicted_as_probabilities(task, axis_sum):
    prediction = np.asarray(make(ModelConfig(position="none"), task)(feeds(False))["prediction"])
    assert ((prediction > 0) & (prediction < 1)).all()
    if axis_sum:
        np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)


def test_one_vector_per_feature_without_attention_is_refused():
    with pytest.raises(ValueError, match="expected an attention block for per_feature, received position none"):
        ModelConfig(position="none", per_feature=True)


@pytest.mark.parametrize("position", ["before", "after"])
def test_one_vector_per_feature_of_the_cosine_score_is_refused(position):
    with pytest.raises(ValueError, match="expected one vector shared by all features for the cosine score, because "):
        ModelConfig(position=position, score="cosine", per_feature=True)


@pytest.mark.parametrize("position", ["after", "none"])
def test_noise_behind_a_block_that_is_not_there_is_refused(position):
    with pytest.raises(ValueError, match=f"expected a block before the LSTM for block_noise, received .*{position}"):
        ModelConfig(position=position, block_noise=0.1)


@pytest.mark.parametrize("variable_length", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_scaling_is_inside_the_graph(position, variable_length):
    config = ModelConfig(position=position, units=3, variable_length=variable_length)
    standardized = make(config)
    raw = make(config, scaling=Scaling(mean=[100, -7], variance=[400, 0.25]), seed=1)
    raw.set_weights(standardized.get_weights())
    inputs = feeds(variable_length)
    expected = standardized(inputs)
    received = raw(inputs | {"sequences": inputs["sequences"] * [20, 0.5] + [100, -7]})
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, atol=1e-5)


@pytest.mark.parametrize("variable_length", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_with_scaling_by_sequence_its_gain_and_level_say_nothing(position, variable_length):
    model = make(ModelConfig(position=position, units=3, variable_length=variable_length, scaling="sequence"))
    inputs = feeds(variable_length)
    other = inputs | {"sequences": inputs["sequences"] * np.float32([20, 0.5]) + np.float32([100, -7])}
    changed = inputs | {"sequences": inputs["sequences"] ** 2}
    for name, values in model(inputs).items():
        np.testing.assert_allclose(model(other)[name], values, atol=1e-4)
        assert name == "attention" or np.abs(model(changed)[name] - values).max() > 1e-3


def test_regression_predicts_in_the_unit_of_the_target():
    config = ModelConfig(position="before", units=3)
    standardized = make(config, "regression")
    in_unit = make(config, "regression", scaling=PLAIN.model_copy(update={"target_mean": 300, "target_variance": 25}))
    in_unit.set_weights(standardized.get_weights())
    expected = np.asarray(standardized(feeds(False))["prediction"]) * 5 + 300
    np.testing.assert_allclose(in_unit(feeds(False))["prediction"], expected, rtol=1e-6)


def test_scaling_is_learned_from_real_steps_only():
    sequences = np.array([[[1.0, 10.0], [3.0, 30.0]], [[5.0, 50.0], [999.0, np.nan]]], np.float32)
    scaling = Scaling.learn(sequences, np.array([2, 1]), np.array([0, 1]), "binary")
    # real steps: 1, 3, 5 and 10, 30, 50; variances (4 + 0 + 4) / 3 and a hundred times that
    assert scaling.mean == [3, 30]
    assert scaling.variance == pytest.approx([8 / 3, 800 / 3])
    assert (scaling.target_mean, scaling.target_variance) == (0, 1)


def test_scaling_learns_the_target_of_a_regression():
    scaling = Scaling.learn(np.ones((3, 1, 1)), np.array([1, 1, 1]), np.array([10.0, 20.0, 60.0]), "regression")
    assert scaling.target_mean == pytest.approx(30)
    assert scaling.target_variance == pytest.approx((400 + 100 + 900) / 3)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e10])
def test_a_constant_feature_and_a_constant_target_stay_finite(constant):
    sequences = feeds(False)["sequences"]
    sequences[:, :, 1] = constant
    targets = np.full(4, constant, np.float32)
    scaling = Scaling.learn(sequences, np.full(4, TIME), targets, "regression")
    assert scaling.variance[1] == 1
    assert scaling.target_variance == 1
    outputs = make(ModelConfig(position="before", units=3), "regression", scaling=scaling)({"sequences": sequences})
    assert np.isfinite(outputs["prediction"]).all()
    moved = sequences + np.array([0, 1], np.float32)  # a step of 1 in it later is a step of 1, not of millions
    assert make(ModelConfig(position="none"), scaling=scaling).get_layer("standardize")(moved).numpy().max() < 1000


@pytest.mark.parametrize("per_feature", [False, True])
@pytest.mark.parametrize("position", ["before", "after"])
def test_a_sequence_gets_the_same_answer_alone_and_among_garbage_padding(position, per_feature):
    model = make(ModelConfig(position=position, per_feature=per_feature, units=3, variable_length=True))
    batch = feeds(True)  # random values in the padding
    together = {name: np.asarray(values) for name, values in model(batch).items()}
    for row, length in enumerate(LENGTHS):
        alone = np.zeros((1, TIME, FEATURES), np.float32)
        alone[0, :length] = batch["sequences"][row, :length]
        answer = model({"sequences": alone, "lengths": LENGTHS[row : row + 1]})
        for name, values in answer.items():
            np.testing.assert_allclose(values[0], together[name][row], atol=1e-6)
        assert (together["attention"][row, length:] == 0).all()


def test_without_attention_padding_changes_neither_the_answer_nor_the_state_it_comes_from():
    batch = feeds(True)
    together = make(ModelConfig(position="none", units=3, variable_length=True))(batch)["prediction"]
    for row, length in enumerate(LENGTHS):
        alone = batch["sequences"][row : row + 1, :length]
        of_any_length = make(ModelConfig(position="none", units=3, variable_length=True))
        of_this_length = make(ModelConfig(position="none", units=3), time=length)
        of_this_length.set_weights(of_any_length.get_weights())
        answer = of_any_length({"sequences": alone, "lengths": LENGTHS[row : row + 1]})["prediction"]
        np.testing.assert_allclose(answer[0], together[row], atol=1e-6)
        np.testing.assert_allclose(of_this_length({"sequences": alone})["prediction"][0], together[row], atol=1e-6)


@pytest.mark.parametrize("setting", ["input_noise", "block_noise", "dropout"])
def test_noise_and_dropout_act_in_training_only(setting):
    model = make(ModelConfig(position="before", units=3, **{setting: 0.5}))
    first, second = (np.asarray(model(feeds(False), training=True)["prediction"]) for _ in range(2))
    assert (first != second).any()
    first, second = (np.asarray(model(feeds(False), training=False)["prediction"]) for _ in range(2))
    assert (first == second).all()


def test_a_block_that_weighs_all_steps_alike_changes_nothing():
    plain = make(ModelConfig(position="none", units=3))
    idle = make(ModelConfig(position="before", score="local", units=3))  # its score starts at 0 everywhere
    idle.set_weights([*idle.get_layer("attention").get_weights(), *plain.get_weights()])
    expected = plain(feeds(False))["prediction"]
    outputs = idle(feeds(False))
    np.testing.assert_allclose(outputs["attention"], np.full((4, TIME), 1 / TIME), rtol=1e-6)
    np.testing.assert_allclose(outputs["prediction"], expected, atol=1e-6)


def test_noise_behind_the_block_does_not_touch_the_weights():
    model = make(ModelConfig(position="before", units=3, block_noise=0.5))
    first, second = (np.asarray(model(feeds(False), training=True)["attention"]) for _ in range(2))
    assert (first == second).all()


def test_noise_does_not_reach_the_padding():
    model = make(ModelConfig(position="before", units=3, input_noise=0.5, variable_length=True))
    zeroed = keras.Model(model.input, model.get_layer("zero_padding").output)
    values = np.asarray(zeroed(feeds(True), training=True))
    padding = np.arange(TIME) >= LENGTHS[:, None]
    assert (values[padding] == 0).all()
    assert (values[~padding] != 0).all()
