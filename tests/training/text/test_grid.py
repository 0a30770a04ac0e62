"""The encoder-decoder with every score and normalizer, and with encoders of every kind: it trains, exports with one
loop, agrees and is served."""

import itertools

import keras
import numpy as np
import onnx
import pytest

from service.manifest import Attention, Decoding, Lengths, Vocabulary
from service.models.loading import load
from training.text.decoding import Decoder
from training.text.export import check_parity, to_onnx
from training.text.fit import arrays
from training.text.models import EncoderDecoderConfig, build
from training.text.pairs import Texts
from training.versions import write_version

VOCABULARY = Vocabulary(input=["<pad>", "<unk>", *"abcd"], output=["<end>", "<start>", *"ABC"])
GRID = [
    EncoderDecoderConfig(score=score, normalizer=normalizer, units=3, embedding=3)
    for score, normalizer in itertools.product(
        ["dot", "cosine", "additive", "general"], ["softmax", "sum", "sparsemax"]
    )
] + [
    EncoderDecoderConfig(layers=layers, bidirectional=bidirectional, units=3, embedding=3)
    for layers, bidirectional in [(1, True), (2, False), (2, True)]
]


def name(config):
    return "-".join(str(value) for value in config.model_dump(exclude={"units", "embedding"}).values())


@pytest.mark.parametrize("config", GRID, ids=name)
def test_it_trains_exports_with_one_loop_agrees_and_is_served(config, tmp_path):
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = build(config, len(VOCABULARY.input), len(VOCABULARY.output))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    inputs, following, counts = arrays(Texts(["abcd", "b", "da"], ["AB", "C", "BBA"]), VOCABULARY)
    before = [weight.numpy() for weight in model.trainable_variables]
    model.train_on_batch(inputs, following, counts)
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_variables, strict=True)]
    assert sum(changed) >= len(changed) - 2  # a vector or two may not have been used

    decoder = Decoder(model, longest=5)
    proto = to_onnx(decoder)  # refuses loops other than the search
    graph = proto.SerializeToString()
    ids, lengths = inputs["sources"], inputs["lengths"]
    folder = write_version(
        graph,
        tmp_path,
        name="grid",
        description="",
        task="sequence",
        features=["character"],
        labels=[],
        vocabulary=VOCABULARY,
        decoding=Decoding(longest=5, beam=1),
        lengths=Lengths(min=1, max=None),
        attention=Attention(kind="x", position="decoder", axes=("out_time", "in_time")),
        parity=check_parity(decoder, graph, ids, lengths),  # refuses more than 1e-5
    )
    operators = [node.op_type for node in onnx.load(folder / "model.onnx").graph.node]
    fused = operators.count("LSTM")
    assert 1 + config.layers <= fused <= 1 + config.layers * (1 + config.bidirectional)  # the first 1: the decoder
    served = load(folder, "cpu").runtime.run_text(ids, lengths, beam=2)
    expected = decoder(ids, lengths, 2)
    np.testing.assert_array_equal(served.prediction, expected["prediction"])
    np.testing.assert_allclose(served.attention, expected["attention"], atol=1e-5)
    np.testing.assert_allclose(served.probability, expected["probability"], atol=1e-5)
