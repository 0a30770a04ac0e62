"""The encoder-decoder: its attention by hand, and what padding, teacher forcing and the search may not change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from service.manifest import END, START, UNKNOWN
from training.text.decoding import Decoder
from training.text.models import Attend, EncoderDecoder, EncoderDecoderConfig, Forget, build

IDS = np.array([[2, 3, 4, 5], [5, 2, 0, 0], [3, 0, 0, 0]], np.int32)
LENGTHS = np.array([4, 2, 1], np.int32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build(EncoderDecoderConfig(units=5, embedding=4, bidirectional=True, layers=2), inputs=6, outputs=7)


def found(model, ids=IDS, lengths=LENGTHS, beam=1, longest=6):
    outputs = Decoder(model, longest)(tf.constant(ids), tf.constant(lengths), tf.constant(beam))
    return {name: np.asarray(values) for name, values in outputs.items()}


def test_attention_by_hand():
    """Two keys, and two queries whose inner products with them are (0, log 3) and (0, 0)."""
    keys = np.array([[[1, 0], [0, 1], [9, 9]]], np.float32)
    queries = np.array([[[0, np.log(3)], [0, 0]]], np.float32)
    contexts, weights = Attend("dot")(keys, np.array([[True, True, False]]), queries)
    np.testing.assert_allclose(weights, [[[0.25, 0.75, 0], [0.5, 0.5, 0]]], atol=1e-6)
    np.testing.assert_allclose(contexts, [[[0.25, 0.75], [0.5, 0.5]]], atol=1e-6)


def test_a_score_without_a_query_is_refused():
    with pytest.raises(ValueError, match="'dot', 'cosine', 'additive' or 'general'"):
        EncoderDecoderConfig(score="dense")


def test_forgetting_happens_in_training_only():
    ids = np.full((50, 50), 3, np.int32)
    forgotten = np.asarray(Forget(0.2)(ids, training=True))
    assert set(np.unique(forgotten)) == {UNKNOWN, 3}
    assert 0.15 < (forgotten == UNKNOWN).mean() < 0.25
    np.testing.assert_array_equal(Forget(0.2)(ids), ids)


def test_padding_changes_nothing(model):
    alone = [found(model, IDS[i : i + 1, :n], LENGTHS[i : i + 1]) for i, n in enumerate(LENGTHS)]
    together = found(model, np.pad(IDS, ((0, 0), (0, 3))))
    for i, one in enumerate(alone):
        steps = one["prediction"].shape[1]
        np.testing.assert_array_equal(together["prediction"][i, :steps], one["prediction"][0])
        np.testing.assert_allclose(together["attention"][i, :steps, : LENGTHS[i]], one["attention"][0], atol=1e-6)
        assert not together["attention"][i, :, LENGTHS[i] :].any()
        np.testing.assert_allclose(together["probability"][i], one["probability"][0], rtol=1e-5)


def most_probable(model, ids, length, longest):
    """Every answer of up to `longest` characters, by brute force: the most probable one, and its probability."""
    outputs = model.sizes[1]
    best, answers = (0.0, []), [([], 1.0)]
    for _ in range(longest + 1):
        count = len(answers)
        fed = {"sources": np.tile(ids, (count, 1)), "lengths": np.full(count, length)}
        fed["answers"] = np.array([[START, *answer] for answer, _ in answers])
        grown = []
        for (answer, probability), chances in zip(answers, np.asarray(tf.nn.softmax(model(fed)[:, -1])), strict=True):
            best = max(best, (probability * chances[END], answer))
            grown += [([*answer, i], probability * chances[i]) for i in range(outputs) if i != END]
        answers = grown
    return best


def test_a_wide_beam_finds_the_most_probable_answer_and_a_greedy_one_never_a_better():
    keras.utils.set_random_seed(3)
    model = build(EncoderDecoderConfig(units=3, embedding=3), inputs=6, outputs=4)
    for ids, length in zip(IDS, LENGTHS, strict=True):
        probability, answer = most_probable(model, ids, length, 3)
        wide = found(model, ids[None], length[None], beam=64, longest=3)
        cut = [i for i in wide["prediction"][0].tolist() if i != END]
        greedy = found(model, ids[None], length[None], beam=1, longest=3)
        if len(cut) <= 3 and wide["prediction"][0, -1] == END:  # it ended, and was not cut off
            assert cut == answer
            np.testing.assert_allclose(wide["probability"][0], probability, rtol=1e-4)
        assert wide["probability"][0] >= greedy["probability"][0] - 1e-6


def test_the_attention_of_an_answer_is_that_of_teacher_forcing(model):
    outputs = found(model, beam=3)
    keys, valid, state = model.encode(IDS, LENGTHS)
    fed = np.insert(outputs["prediction"][:, :-1], 0, START, axis=1)
    queries = model.decoder(model.embed_answer(fed), initial_state=state)
    _, weights = model.next_character(keys, valid, queries)
    np.testing.assert_allclose(outputs["attention"], weights, atol=1e-6)
    np.testing.assert_allclose(outputs["attention"].sum(axis=2), 1, atol=1e-5)


def test_it_is_the_same_after_it_was_saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert isinstance(loaded, EncoderDecoder)
    np.testing.assert_allclose(found(loaded)["attention"], found(model)["attention"], atol=1e-6)
