import keras
import numpy as np
import onnxruntime as ort
import pytest
from keras import layers, ops

from service.manifest import Lengths
from training.export import ExportError, check_contract, check_parity, read_model, to_onnx
from training.layers import AttentionBlock, LastState, ValidSteps, ZeroPadding
from training.models import ModelConfig, Scaling, build

TIME, FEATURES = 6, 2
SAMPLES = 1 + 2 + 7 + 64  # one sample for each row of the batches that parity is checked on


def sample(variable_length, time=TIME, samples=SAMPLES):
    """Random sequences, zero on padding, and their lengths."""
    random = np.random.default_rng(0)
    lengths = random.integers(1 if variable_length else time, time + 1, samples).astype(np.int32)
    sequences = random.normal(size=(samples, time, FEATURES)).astype(np.float32)
    sequences[np.arange(time) >= lengths[:, None]] = 0
    return sequences, lengths


def randomize(model):
    """Weights that are far from their first values, so that attention is not the same everywhere."""
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(random.normal(scale=0.7, size=variable.shape))
    return model


def convert(contract):
    return to_onnx(contract).SerializeToString()


def session_of(graph):
    return ort.InferenceSession(graph, providers=["CPUExecutionProvider"])


def axes(values):
    """Names, or sizes, of the axes by the name of the input or output."""
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values
    }


def difference(model, graph, feeds):
    """The largest difference over all outputs, computed here and not by export."""
    session = session_of(graph)
    names = [output.name for output in session.get_outputs()]
    served = dict(zip(names, session.run(names, feeds), strict=True))
    trained = model(feeds, training=False)
    return {name: float(np.abs(np.asarray(trained[name]) - served[name]).max()) for name in names}


class Exported:
    """A model of ours, converted once for all the tests that look at it."""

    def __init__(self, position, variable_length, per_feature):
        self.config = ModelConfig(position=position, variable_length=variable_length, per_feature=per_feature, units=4)
        scaling = Scaling(mean=[10, -2], variance=[4, 0.5])
        self.model = randomize(build(self.config, task="binary", outputs=1, time=TIME, scaling=scaling))
        self.contract = check_contract(self.model, attention=position != "none")
        self.proto = to_onnx(self.contract)
        self.graph = self.proto.SerializeToString()

    def feeds(self, samples, time=TIME):
        sequences, lengths = sample(self.config.variable_length, time, samples)
        return {"sequences": sequences} | ({"lengths": lengths} if self.config.variable_length else {})


CONFIGS = [
    (position, variable_length, per_feature)
    for position in ("before", "after", "none")
    for variable_length in (False, True)
    for per_feature in ((False, True) if position != "none" else (False,))
]


@pytest.fixture(
    scope="module",
    params=CONFIGS,
    ids=lambda case: f"{case[0]}-{'variable' if case[1] else 'fixed'}-{'per_feature' if case[2] else 'shared'}",
)
def exported(request):
    return Exported(*request.param)


def test_the_graph_has_the_fused_lstm_and_no_loop(exported):
    operators = {node.op_type for node in exported.proto.graph.node}
    assert "LSTM" in operators
    assert not operators & {"Loop", "Scan", "If"}


def test_inputs_outputs_and_free_axes_are_named_as_in_the_contract(exported):
    config = exported.config
    time = "time" if config.position == "none" and config.variable_length else TIME
    inputs = {"sequences": ["batch", time, FEATURES]} | ({"lengths": ["batch"]} if config.variable_length else {})
    outputs = {"prediction": ["batch", 1]}
    if config.position != "none":
        over_features = config.position == "before" and config.per_feature
        outputs["attention"] = ["batch", TIME, "feature"] if over_features else ["batch", TIME]
    assert axes(exported.proto.graph.input) == inputs
    assert axes(exported.proto.graph.output) == outputs
    assert [value.name for value in exported.proto.graph.output] == list(outputs)


def test_inputs_are_float32_sequences_and_int32_lengths(exported):
    types = {value.name: value.type for value in session_of(exported.graph).get_inputs()}
    assert types.pop("sequences") == "tensor(float)"
    assert types == ({"lengths": "tensor(int32)"} if exported.config.variable_length else {})


def test_keras_and_onnx_runtime_agree_at_several_batch_sizes(exported):
    for samples in (1, 3, 64, 129):
        assert max(difference(exported.model, exported.graph, exported.feeds(samples)).values()) <= 1e-5


def test_a_model_of_any_length_agrees_at_several_lengths(exported):
    if exported.contract.time is None:
        for time in (1, 3, 50):
            assert max(difference(exported.model, exported.graph, exported.feeds(5, time)).values()) <= 1e-5
    else:
        assert exported.contract.lengths.max == TIME


def test_parity_is_what_a_comparison_by_hand_gives(exported):
    sequences, lengths = sample(exported.config.variable_length)
    parity = check_parity(exported.contract, exported.graph, sequences, lengths)
    feeds = exported.feeds(SAMPLES)
    found = [
        difference(exported.model, exported.graph, {name: values[rows] for name, values in feeds.items()})
        for rows in (slice(0, 1), slice(1, 3), slice(3, 10), slice(10, 74))
    ]
    assert parity.prediction == pytest.approx(max(case["prediction"] for case in found), abs=3e-8)
    if exported.config.position == "none":
        assert parity.attention is None
    else:
        assert parity.attention == pytest.approx(max(case["attention"] for case in found), abs=3e-8)


# A difference that is known, because a bias of the Keras model is moved after its export.


def regression(target_mean=0.0):
    scaling = Scaling(mean=[0, 0], variance=[1, 1], target_mean=target_mean)
    model = build(ModelConfig(position="none"), task="regression", outputs=1, time=TIME, scaling=scaling)
    contract = check_contract(model, attention=False)
    return model.get_layer("standardized_prediction").bias, contract, convert(contract)


def test_parity_reports_a_difference_within_the_tolerance():
    bias, contract, graph = regression()
    bias.assign_add([5e-6])
    assert check_parity(contract, graph, *sample(False)).prediction == pytest.approx(5e-6, abs=1e-6)


@pytest.mark.parametrize("row", [0, 2, 3, 73])
def test_parity_reports_the_largest_difference_whichever_batch_it_is_in(row):
    sequences = sequences_input()
    model = keras.Model(sequences, {"prediction": layers.Dense(1, name="prediction")(sequences[:, 0])})
    contract = check_contract(model, attention=False)
    kernel = model.get_layer("prediction").kernel
    kernel.assign([[0], [0]])
    graph = convert(contract)
    kernel.assign([[1e-6], [0]])  # predictions differ by a millionth of the first value
    values, lengths = np.zeros((SAMPLES, TIME, FEATURES), np.float32), np.full(SAMPLES, TIME)
    values[row, 0, 0] = 0.5
    assert check_parity(contract, graph, values, lengths).prediction == pytest.approx(0.5e-6, abs=1e-9)


def test_parity_refuses_a_difference_above_the_tolerance():
    bias, contract, graph = regression()
    bias.assign_add([0.25])
    with pytest.raises(ExportError, match=r"to agree to 1e-05 on prediction, .* difference of 0\.25 for a batch of 1$"):
        check_parity(contract, graph, *sample(False))


def test_parity_of_large_predictions_is_relative_to_their_size():
    bias, contract, graph = regression(target_mean=1000.0)
    bias.assign_add([5e-3])
    assert check_parity(contract, graph, *sample(False)).prediction == pytest.approx(5e-6, abs=1e-6)


def test_parity_refuses_what_is_not_a_number():
    bias, contract, graph = regression()
    bias.assign([np.nan])
    with pytest.raises(ExportError, match="to agree to 1e-05 on prediction"):
        check_parity(contract, graph, *sample(False))


def test_parity_refuses_a_difference_in_attention():
    exported = Exported("before", False, False)
    kernel = exported.model.get_layer("attention").score.dense.kernel
    kernel.assign(kernel + np.eye(TIME))
    head = exported.model.get_layer("prediction")  # so that the prediction itself does not differ
    head.kernel.assign(head.kernel * 0)
    exported.graph = convert(exported.contract)
    kernel.assign(kernel + np.eye(TIME))
    with pytest.raises(ExportError, match="to agree to 1e-05 on attention"):
        check_parity(exported.contract, exported.graph, *sample(False))


# Models that users bring.


def head(x, name="prediction"):
    return layers.Dense(1, activation="sigmoid", name=name)(x)


def named(x, name):
    return layers.Activation("linear", name=name)(x)


def sequences_input(time=TIME):
    return keras.Input((time, FEATURES), name="sequences")


def lengths_input():
    return keras.Input((), dtype="int32", name="lengths")


def plain(recurrent, time=TIME):
    """sequences → a recurrent layer → prediction, without attention."""
    sequences = sequences_input(time)
    return keras.Model({"sequences": sequences}, {"prediction": head(recurrent(sequences))})


def with_weights(weigh, time=TIME, variable_length=True):
    """A model whose attention is `weigh(sequences, valid)`, and whose prediction does not depend on padding."""
    sequences, lengths = sequences_input(time), lengths_input()
    if not variable_length:
        state = layers.LSTM(3)(sequences)
        return keras.Model(sequences, {"prediction": head(state), "attention": named(weigh(sequences), "attention")})
    valid = ValidSteps()(sequences, lengths)
    state = LastState()(layers.LSTM(3, return_sequences=True)(sequences), lengths)
    outputs = {"prediction": head(state), "attention": named(weigh(sequences, valid), "attention")}
    return keras.Model([sequences, lengths], outputs)


def check(model, variable_length, time=TIME, **options):
    contract = check_contract(model, **options)
    return check_parity(contract, convert(contract), *sample(variable_length, time))


def scores(sequences):
    return ops.squeeze(layers.Dense(1)(sequences), axis=2)


def masked_softmax(sequences, valid):
    return ops.softmax(ops.where(valid, scores(sequences), -3e38), axis=1)


@pytest.mark.parametrize(
    "recurrent",
    [
        lambda x: layers.LSTM(3)(layers.Masking()(x)),
        layers.LSTM(3, recurrent_dropout=0.2),
        layers.LSTM(3, recurrent_activation="hard_sigmoid"),
    ],
    ids=["Masking", "recurrent_dropout", "hard_sigmoid"],
)
def test_a_loop_in_the_graph_is_refused_by_its_name(recurrent):
    contract = check_contract(plain(recurrent), attention=False)
    with pytest.raises(
        ExportError, match=r"without If, Loop, Scan, received Loop, .*Masking .*recurrent_dropout, GRU layers, and"
    ):
        to_onnx(contract)


@pytest.mark.parametrize(
    "recurrent",
    [
        layers.Bidirectional(layers.LSTM(3)),
        lambda x: layers.LSTM(3)(layers.LSTM(3, return_sequences=True)(x)),
        lambda x: layers.LSTM(3, dropout=0.5)(layers.BatchNormalization()(x)),
    ],
    ids=["bidirectional", "stacked", "batch-normalized"],
)
def test_other_lstms_of_fixed_length_are_exported(recurrent):
    model = randomize(plain(recurrent))
    contract = check_contract(model, attention=False)
    proto = to_onnx(contract)
    assert "LSTM" in {node.op_type for node in proto.graph.node}
    feeds = {"sequences": sample(False)[0]}
    assert difference(model, proto.SerializeToString(), feeds)["prediction"] <= 1e-5


def test_a_normalization_adapted_on_data_is_exported_with_its_numbers():
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(50, 9, (200, TIME, FEATURES)))
    model = plain(lambda x: layers.LSTM(3)(normalization(x)))
    contract = check_contract(model, attention=False)
    proto = to_onnx(contract)
    assert list(axes(proto.graph.input)) == ["sequences"]
    raw = {"sequences": sample(False)[0] * 9 + 50}
    assert difference(model, proto.SerializeToString(), raw)["prediction"] <= 1e-5
    assert np.ptp(np.asarray(model(raw)["prediction"])) > 0.01  # it would all be one value had nothing been scaled


def test_attention_over_a_free_time_axis_is_exported_with_the_names_of_its_axes():
    model = with_weights(masked_softmax, time=None)
    contract = check_contract(model)
    proto = to_onnx(contract)
    assert axes(proto.graph.input) == {"sequences": ["batch", "time", FEATURES], "lengths": ["batch"]}
    assert axes(proto.graph.output) == {"prediction": ["batch", 1], "attention": ["batch", "time"]}
    assert contract.lengths == Lengths(min=1, max=None)
    assert check_parity(contract, proto.SerializeToString(), *sample(True)).attention <= 1e-5


def test_attention_that_leaks_onto_padding_is_refused_with_its_share():
    with pytest.raises(ExportError, match=r"expected no attention on padded steps, received \d+\.\d% of it there"):
        check(with_weights(lambda x, valid: ops.softmax(scores(x), axis=1)), True)


def test_weights_that_do_not_sum_to_1_are_refused_with_their_sum():
    half = with_weights(lambda x: ops.softmax(scores(x), axis=1) / 2, variable_length=False)
    with pytest.raises(ExportError, match=r"expected weights that sum to 1 over time, received a sum of 0\.5"):
        check(half, False)


def test_negative_weights_are_refused_with_the_lowest():
    centred = with_weights(lambda x: x[:, :, 0] - ops.mean(x[:, :, 0], axis=1, keepdims=True) + 1 / TIME, TIME, False)
    with pytest.raises(ExportError, match=r"expected no negative weights, received -\d"):
        check(centred, False)


def test_a_prediction_that_depends_on_what_stands_in_the_padding_is_refused():
    sequences, lengths = sequences_input(), lengths_input()
    attention = named(masked_softmax(sequences, ValidSteps()(sequences, lengths)), "attention")
    model = keras.Model([sequences, lengths], {"prediction": head(layers.LSTM(3)(sequences)), "attention": attention})
    sentence = (
        r"not depend on padded steps, .* change of 0\.\d+ in prediction when only what stands in the padding changed"
    )
    with pytest.raises(ExportError, match=sentence):
        check(model, True)


def test_a_prediction_that_depends_on_how_much_padding_there_is_is_refused():
    sequences, lengths = sequences_input(None), lengths_input()
    zeroed = ZeroPadding()(sequences, ValidSteps()(sequences, lengths))
    model = keras.Model([sequences, lengths], {"prediction": head(layers.GlobalAveragePooling1D()(zeroed))})
    with pytest.raises(ExportError, match="in prediction when only the amount of padding changed"):
        check(model, True, attention=False)


def test_weights_that_depend_on_what_stands_in_the_padding_are_refused():
    def sharper_with_more_padding(sequences, valid):
        sharpness = ops.sum(sequences, axis=(1, 2))[:, None]
        return ops.softmax(ops.where(valid, scores(sequences) * sharpness, -3e38), axis=1)

    with pytest.raises(ExportError, match="in attention when only what stands in the padding changed"):
        check(with_weights(sharper_with_more_padding), True)


def test_attention_over_fewer_steps_than_the_sequence_has_is_refused():
    pooled = with_weights(lambda x: ops.softmax(scores(layers.AveragePooling1D(2)(x)), axis=1), variable_length=False)
    with pytest.raises(ExportError, match=r"expected attention of shape \(batch, time\)"):
        check(pooled, False)


def test_outputs_given_as_a_dict_go_by_their_keys_whatever_the_layers_are_called():
    sequences = sequences_input()
    weighted, attention = AttentionBlock(name="where")(sequences)
    model = keras.Model(sequences, {"prediction": head(layers.LSTM(3)(weighted), "class"), "attention": attention})
    proto = to_onnx(check_contract(model))
    assert axes(proto.graph.output) == {"prediction": ["batch", 1], "attention": ["batch", TIME]}


def test_outputs_given_as_a_list_go_by_the_names_of_their_layers():
    sequences = sequences_input()
    weighted, attention = AttentionBlock(name="attention")(sequences)
    model = keras.Model(sequences, [attention, head(layers.LSTM(3)(weighted))])
    proto = to_onnx(check_contract(model))
    assert axes(proto.graph.output) == {"prediction": ["batch", 1], "attention": ["batch", TIME]}


def test_a_missing_attention_is_named_with_the_two_ways_out():
    sentence = (
        r"expected outputs named prediction and attention, received prediction: attention is missing\. Name them: .*"
        r"A model that has no attention is published --without-attention\."
    )
    with pytest.raises(ExportError, match=sentence):
        check_contract(plain(layers.LSTM(3)))


def test_a_missing_prediction_is_named():
    sequences = sequences_input()
    model = keras.Model(sequences, {"class": head(layers.LSTM(3)(sequences), "class")})
    with pytest.raises(ExportError, match=r"expected outputs named prediction, received class: prediction is missing"):
        check_contract(model, attention=False)


def test_an_output_too_many_is_named(own_model):
    model = own_model()
    extra = keras.Model(model.input, {**model.output, "state": named(model.input[:, 0], "state")})
    with pytest.raises(ExportError, match="expected no outputs but prediction and attention, received also state"):
        check_contract(extra)


def test_attention_where_none_was_declared_is_named(own_model):
    with pytest.raises(ExportError, match="expected no outputs but prediction, received also attention"):
        check_contract(own_model(), attention=False)


@pytest.mark.parametrize(
    ("shape", "received"), [((FEATURES,), r"\(None, 2\)"), ((TIME, None), r"\(None, 6, None\)"), ((2, 2, 2), "2, 2, 2")]
)
def test_an_input_that_is_not_time_by_feature_is_refused_with_its_shape(shape, received):
    sequences = keras.Input(shape, name="sequences")
    prediction = head(layers.Flatten()(sequences)) if None not in shape else head(ops.mean(sequences, 2))
    model = keras.Model(sequences, {"prediction": prediction})
    with pytest.raises(
        ExportError, match=rf"expected one input of shape \(batch, time, feature\).*received .*{received}"
    ):
        check_contract(model, attention=False)


def test_two_inputs_of_sequences_are_refused_with_their_names():
    first, second = sequences_input(), keras.Input((TIME, FEATURES), name="other")
    model = keras.Model([first, second], {"prediction": head(layers.LSTM(3)(first + second))})
    with pytest.raises(ExportError, match=r"expected one input .*received .*sequences.*other"):
        check_contract(model, attention=False)


@pytest.mark.parametrize(
    ("shape", "dtype", "received"), [((), "float32", r"float32 of shape \(None,\)"), ((1,), "int32", r"\(None, 1\)")]
)
def test_lengths_of_another_kind_are_refused(shape, dtype, received):
    sequences, lengths = sequences_input(), keras.Input(shape, dtype=dtype, name="lengths")
    model = keras.Model([sequences, lengths], {"prediction": head(layers.LSTM(3)(sequences))})
    with pytest.raises(ExportError, match=rf"expected lengths as int32 of shape \(batch,\), received .*{received}"):
        check_contract(model, attention=False)


def test_a_free_time_axis_without_lengths_is_refused_with_the_two_ways_out():
    sentence = "expected a fixed number of time steps or an input named lengths, received neither. Give --time, or add"
    with pytest.raises(ExportError, match=sentence):
        check_contract(plain(layers.LSTM(3), time=None), attention=False)


def test_a_free_time_axis_without_lengths_takes_the_number_of_steps_it_is_told():
    contract = check_contract(plain(layers.LSTM(3), time=None), attention=False, time=4)
    assert contract.lengths == Lengths(min=4, max=4)
    assert check_parity(contract, convert(contract), *sample(False, time=4)).prediction <= 1e-5


def test_lengths_are_from_one_to_the_size_of_the_time_axis(own_model):
    assert check_contract(own_model(variable_length=True)).lengths == Lengths(min=1, max=5)
    assert check_contract(own_model(variable_length=True)).lengths == Lengths(min=1, max=5)
    assert check_contract(own_model()).lengths == Lengths(min=5, max=5)


@pytest.mark.parametrize(
    ("prediction", "attention", "sentence"),
    [
        (
            layers.LSTM(3, return_sequences=True),
            lambda x: x[:, :, 0],
            r"prediction of shape \(batch, outp",
        ),
        (
            lambda x: x[:, 0],
            lambda x: x[:, 0, 0],
            r"expected attention of shape \(batch, time\[, feature\]\), received",
        ),
        (
            lambda x: x[:, 0],
            layers.LSTM(3, return_sequences=True),
            r"or \(batch, time, 2\), received \(None, 6, 3\); .*averaged or squeezed to \(batch, time\) first",
        ),
    ],
)
def test_outputs_of_another_shape_are_refused(prediction, attention, sentence):
    sequences = sequences_input()
    outputs = {
        name: named(make(sequences), name) for name, make in (("prediction", prediction), ("attention", attention))
    }
    with pytest.raises(ExportError, match=sentence):
        check_contract(keras.Model(sequences, outputs))


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("model", [keras.Sequential([layers.LSTM(3), layers.Dense(1)]), Subclassed()])
def test_a_model_without_named_outputs_is_refused_with_its_kind(model):
    with pytest.raises(ExportError, match=f"expected a functional Keras model .* received a {type(model).__name__}"):
        check_contract(model)


class MyMean(layers.Layer):
    def call(self, inputs):
        return ops.mean(inputs, axis=2)


def my_sigmoid(x):
    return ops.sigmoid(x)


def averaged(mean, activation="sigmoid"):
    """A model whose attention is the mean over features of one weight for each."""
    sequences = sequences_input()
    weights = layers.Softmax(axis=1)(layers.Dense(FEATURES)(sequences))
    prediction = layers.Dense(1, activation=activation, name="prediction")(layers.LSTM(3)(sequences * weights))
    return keras.Model(sequences, {"prediction": prediction, "attention": mean(weights)})


@pytest.mark.parametrize(
    ("model", "received"),
    [
        (averaged(layers.Lambda(my_sigmoid, name="attention")), "Lambda 'attention'"),
        (averaged(MyMean(name="attention")), "class MyMean"),
        (averaged(keras.Sequential([MyMean()], name="attention"), my_sigmoid), "class MyMean, function my_sigmoid"),
    ],
)
def test_code_that_a_file_does_not_bring_is_refused_by_its_name_with_a_layer_to_take(model, received, tmp_path):
    model.save(tmp_path / "own.keras")
    with pytest.raises(ExportError) as refused:
        read_model(tmp_path / "own.keras")
    assert str(refused.value) == (
        f"expected layers of Keras alone, received {received}. For the mean of weights over features take "
        "GlobalAveragePooling1D(data_format='channels_first', name='attention')"
    )


def test_the_layer_to_take_gives_the_mean_over_features(tmp_path):
    averaged(layers.GlobalAveragePooling1D(data_format="channels_first", name="attention")).save(tmp_path / "own.keras")
    model = read_model(tmp_path / "own.keras")
    assert check(model, variable_length=False).attention <= 1e-5
    sequences, _ = sample(variable_length=False)
    weights = keras.Model(model.input, model.get_layer("attention").input)(sequences)
    np.testing.assert_allclose(model(sequences)["attention"], np.mean(weights, axis=2), atol=1e-6)
