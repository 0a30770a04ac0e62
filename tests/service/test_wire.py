import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service import reading, wire
from service.errors import Invalid, NotJson
from service.explanations.record import Explanation
from service.explanations.stores import bundles
from service.manifest import Decoding, Lengths, Manifest, Parity, Vocabulary
from service.ragged import Ragged
from service.schemas.predict import PredictRequest


def manifest(features=2, min_steps=1, max_steps=None, **changes):
    fields = {
        "name": "m",
        "version": 1,
        "description": "",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "task": "binary",
        "features": [f"x{i}" for i in range(features)],
        "labels": ["no", "yes"],
        "lengths": Lengths(min=min_steps, max=max_steps),
        "attention": None,
        "parity": Parity(prediction=0),
        "sha256": "0" * 64,
    }
    return Manifest(**fields | changes)


def read(sequences, of=None, max_sequences=100, max_steps=1000):
    return reading.read_sequences(sequences, of or manifest(), max_sequences, max_steps)


def faults(sequences, **options):
    with pytest.raises(Invalid) as error:
        read(sequences, **options)
    return [(fault.pointer, fault.expected, fault.received) for fault in error.value.faults]


def test_sequences_become_float32_arrays_of_their_own_lengths():
    short, long = read([[[1, 2]], [[3, 4.5], [5, -6]]])
    assert short.dtype == long.dtype == np.float32
    assert short.tolist() == [[1, 2]]
    assert long.tolist() == [[3, 4.5], [5, -6]]


def test_a_model_with_one_feature_takes_a_plain_list_of_values():
    flat, nested = read([[1, 2, 3], [[1], [2], [3]]], of=manifest(features=1))
    assert flat.tolist() == nested.tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("sequences", "fault"),
    [
        ([[[1, 2]], [[1, None]]], ("/sequences/1/0/1", "a number", "null")),
        ([[[1, True]]], ("/sequences/0/0/1", "a number", "true")),
        ([[["1", 2]]], ("/sequences/0/0/0", "a number", '"1"')),
        ([[[1, [2]]]], ("/sequences/0/0/1", "a number", "a list of 1")),
        ([[[1, {}]]], ("/sequences/0/0/1", "a number", "an object")),
        ([[[1, 10**400]]], ("/sequences/0/0/1", "a number", "an integer beyond 64 bits")),
        ([[[1, float("nan")]]], ("/sequences/0/0/1", "a finite number", "NaN")),
        ([[[1, 2], [float("-inf"), 2]]], ("/sequences/0/1/0", "a finite number", "-Infinity")),
        ([[[1, 1e39]]], ("/sequences/0/0/1", "a number that fits float32 (at most 3.4e38 in size)", "1e+39")),
        ([[[1, 2, 3]]], ("/sequences/0/0", "a list of 2 numbers (x0, x1)", "a list of 3")),
        ([[[1, 2], [1]]], ("/sequences/0/1", "a list of 2 numbers (x0, x1)", "a list of 1")),
        ([[[1, 2], 3]], ("/sequences/0/1", "a list of 2 numbers (x0, x1)", "3")),
        (["text"], ("/sequences/0", "a list of time steps (1 or more time steps × 2 features)", '"text"')),
        ([[]], ("/sequences/0", "1 to 1000 time steps", "0")),
    ],
)
def test_every_fault_names_its_place_what_was_expected_and_what_was_received(sequences, fault):
    assert faults(sequences) == [fault]


def test_places_in_a_plain_list_of_values_have_no_feature():
    assert faults([[1, 1e39]], of=manifest(features=1))[0][0] == "/sequences/0/1"


def test_lengths_are_held_to_the_model_and_to_the_server():
    assert faults([[[1, 2]] * 4], of=manifest(min_steps=5, max_steps=9)) == [("/sequences/0", "5 to 9 time steps", "4")]
    assert faults([[[1, 2]] * 4], of=manifest(min_steps=3, max_steps=3)) == [("/sequences/0", "3 time steps", "4")]
    assert faults([[[1, 2]] * 4], max_steps=3) == [("/sequences/0", "1 to 3 time steps", "4")]
    assert faults([[[1, 2]]] * 4, max_sequences=3) == [("/sequences", "at most 3 sequences", "4")]


def test_the_first_fault_of_every_sequence_counts_and_ten_are_shown():
    with pytest.raises(Invalid, match=r"/sequences/0/0/0: expected a number, received null \(and 39 more\)") as error:
        read([[[None, None]] * 20] * 40)
    assert [fault.pointer for fault in error.value.faults] == [f"/sequences/{i}/0/0" for i in range(10)]


def test_a_sequence_far_too_long_is_not_looked_into():
    assert faults([[None] * 2_000_000]) == [("/sequences/0", "1 to 1000 time steps", "2000000")]


def test_a_body_of_nothing_but_faults_is_not_read_to_its_end():
    with pytest.raises(Invalid, match=r"and 999 more"):
        read([[[None, 1]]] * 5000, max_sequences=10_000)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"sequences": [1,]}', b"[" * 100_000, b'{"a": 1} 2'])
def test_what_is_not_json_is_said_to_be_so(body):
    with pytest.raises(NotJson, match="expected JSON, received"):
        reading.read_request(body)


@pytest.mark.parametrize(
    ("body", "pointer", "expected", "received"),
    [
        ([], "", "an object", "a list of 0"),
        ({}, "/sequences", "this field", "nothing"),
        ({"sequences": []}, "/sequences", "at least one sequence", "none"),
        ({"sequences": 5}, "/sequences", "a valid array", "5"),
        ({"sequences": [1], "model": 3}, "/model", "a valid string", "3"),
        ({"sequences": [1], "version": "3"}, "/version", "a valid integer", '"3"'),
        ({"sequences": [1], "version": 1.0}, "/version", "a valid integer", "1.0"),
        ({"sequences": [1], "top_k": 0}, "/top_k", "greater than or equal to 1", "0"),
        ({"sequences": [1], "store": 1}, "/store", "a valid boolean", "1"),
        ({"sequences": [1], "attention": "all"}, "/attention", "'per_step' or 'per_feature'", '"all"'),
    ],
)
def test_faults_around_the_sequences(body, pointer, expected, received):
    with pytest.raises(Invalid) as error:
        reading.read_request(json.dumps(body).encode())
    assert [(f.pointer, f.expected, f.received) for f in error.value.faults] == [(pointer, expected, received)]


def test_an_unknown_field_is_answered_with_the_known_ones():
    with pytest.raises(Invalid, match=r"/modle: expected no such field \(the fields are sequences, model"):
        reading.read_request(b'{"sequences": [1], "modle": "m"}')


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=finite))
def test_every_float32_survives_writing_and_reading(array):
    [back] = read(json.loads(wire.dump([array])), of=manifest(features=array.shape[1]))
    assert back.tobytes() == array.tobytes()


def test_numbers_are_written_in_the_shortest_form_that_is_exact():
    assert wire.dump(np.array([0.1, 1 / 3, 1e-8], np.float32)) == b"[0.1,0.33333334,1e-8]"


def explanation(**fields):
    """Of one sequence of two steps and two features, changed by `fields`."""
    made = {
        "id": "i",
        "created": 0,
        "model": "m",
        "version": 1,
        "task": "binary",
        "features": ["x0", "x1"],
        "classes": ["no", "yes"],
        "sequences": Ragged.of([np.array([[1, 2], [3, 4]], np.float32)]),
        "predictions": np.array([[0.5]], np.float32),
        "labels": ["yes"],
        "attention": Ragged.of([np.array([0.25, 0.75], np.float32)]),
    }
    return Explanation(**made | fields)


def test_an_answer_keeps_to_its_documented_form():
    request = PredictRequest(sequences=[[[1, 2], [3, 4]]], top_k=1)
    body = wire.write_answer(explanation(), request, "i", None)
    assert json.loads(body) == {
        "id": "i",
        "model": "m",
        "version": 1,
        "predictions": [0.5],
        "labels": ["yes"],
        "attention": [[0.25, 0.75]],
        "top": [[{"step": 1, "weight": 0.75, "values": {"x0": 3.0, "x1": 4.0}}]],
    }


def test_long_texts_are_cut_in_messages():
    assert reading.describe(b"{}") == "2 bytes"
    assert reading.describe("a" * 1000) == '"' + "a" * 58 + "…"


def text_explanation(**fields):
    weights = np.array([[0.25, 0.75]], np.float32)
    texts = {"texts": ["a?"], "answers": ["A"], "unknown": [[1]], "task": "sequence", "features": ["character"]}
    return explanation(
        **texts, sequences=None, classes=[], labels=None, attention=Ragged.of_matrices([weights]), **fields
    )


def test_an_answer_in_text_keeps_to_its_documented_form():
    body = wire.write_answer(text_explanation(), PredictRequest(sequences=["a?"], top_k=1), None, None)
    assert json.loads(body) == {
        "id": None,
        "model": "m",
        "version": 1,
        "predictions": ["A"],
        "probabilities": [0.5],
        "unknown": [[{"step": 1, "character": "?"}]],
        "attention": [[[0.25, 0.75]]],
        "top": [[[{"step": 1, "weight": 0.75, "values": {"character": "?"}}]]],
    }


@pytest.mark.parametrize(
    ("sequence", "fault"),
    [
        ([1, 2], "/sequences/1: expected a text, received a list of 2"),
        (7, "/sequences/1: expected a text, received 7"),
        ("", "/sequences/1: expected 1 to 5 characters, received 0"),
        ("abcdef", "/sequences/1: expected 1 to 5 characters, received 6"),
    ],
)
def test_what_is_not_a_text_is_named(sequence, fault):
    of = manifest(
        task="sequence",
        labels=[],
        features=1,
        vocabulary=Vocabulary(input=["<pad>", "<unk>", "a"], output=["<end>", "<start>", "A"]),
        decoding=Decoding(longest=3, beam=1),
    )
    with pytest.raises(Invalid, match=fault):
        reading.read_texts(["a", sequence], of, 10, 5)


def test_an_explanation_in_text_is_the_same_after_it_was_kept():
    kept = bundles.decode(*bundles.encode([text_explanation(id="0" * 32)]))[0]
    assert (kept.texts, kept.answers, kept.unknown) == (["a?"], ["A"], [[1]])
    np.testing.assert_array_equal(kept.attention[0], [[0.25, 0.75]])
