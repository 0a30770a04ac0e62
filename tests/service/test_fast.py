"""The fast way of reading a request gives what the strict way gives, or nothing."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import fast, reading
from service.errors import HttpError
from service.manifest import Lengths, Manifest
from tests.bodies import bodies, bounded, damaged
from tests.serving import MODELS

MANIFESTS = {path.name: Manifest.read(path / "1") for path in MODELS.iterdir() if path.is_dir()}
LIMITS = (100, 100)  # sequences, steps


def of(features, low, high):
    manifest = MANIFESTS["planted-before"]
    names = [f"x{i}" for i in range(features)]
    return manifest.model_copy(update={"features": names, "lengths": Lengths(min=low, max=high)})


def read_fast(body, manifest):
    request = fast.read(body)
    found = request and request.sequences(manifest, *LIMITS)
    return None if found is None else (request.fields, found)


def read_strictly(body, manifest):
    fields = reading.read_request(body)
    return fields, reading.read_sequences(fields.sequences, manifest, *LIMITS)


def hold_equal(body, manifest):
    """Whether the fast way read it; if so, the strict way does, and finds the same."""
    found = read_fast(body, manifest)
    if found is None:
        return False
    fields, sequences = read_strictly(body, manifest)
    assert found[0].model_dump(exclude={"sequences"}) == fields.model_dump(exclude={"sequences"})
    assert [len(one) for one in found[1]] == [len(one) for one in sequences]
    np.testing.assert_array_equal(found[1].values, sequences.values)
    return True


# Bodies whose nesting is nearly right, for models of few features, where shapes are easily mistaken for each other.
number = st.one_of(st.integers(-9, 9), st.floats(-9, 9, width=32), st.sampled_from([1e39, 2**70, True, None, "1", {}]))
step = st.one_of(number, st.lists(number, max_size=3))
nearly = st.one_of(
    st.lists(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=1, max_size=4), max_size=4),
    st.lists(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=1), min_size=1, max_size=4), max_size=4),
    st.lists(st.lists(st.floats(-1, 1, width=32), max_size=4), max_size=4),
    st.lists(st.lists(step, max_size=3), max_size=3),
    st.lists(step, max_size=4),
)
manifests = st.builds(of, st.integers(1, 2), st.integers(1, 3), st.integers(3, 4))


@settings(bounded, max_examples=3000)
@given(sequences=nearly, manifest=manifests, indent=st.sampled_from([None, 1]))
def test_shapes_are_never_mistaken_for_each_other(sequences, manifest, indent):
    hold_equal(json.dumps({"sequences": sequences, "model": "m"}, indent=indent).encode(), manifest)


@settings(bounded, max_examples=1000)
@given(body=st.one_of(bodies, damaged()), manifest=st.sampled_from(list(MANIFESTS.values())))
def test_what_the_fast_way_reads_the_strict_way_reads_alike(body, manifest):
    with suppress(ValueError, KeyError, TypeError):
        manifest = MANIFESTS[json.loads(body)["model"]]
    hold_equal(body, manifest)


@pytest.mark.parametrize("name", sorted(name for name, manifest in MANIFESTS.items() if manifest.vocabulary is None))
def test_good_requests_of_every_committed_model_are_read_fast(name):
    manifest = MANIFESTS[name]
    sequences = [example.sequence for example in manifest.examples]
    assert hold_equal(json.dumps({"model": name, "sequences": sequences}).encode(), manifest)
    assert hold_equal(json.dumps({"store": False, "sequences": sequences, "top_k": 3}, indent=2).encode(), manifest)
    if len(manifest.features) == 1:
        flat = [[step[0] for step in sequence] for sequence in sequences]
        assert hold_equal(json.dumps({"model": name, "sequences": flat}).encode(), manifest)


@pytest.mark.parametrize(
    "body",
    [
        b'{"sequences": [[[1, 2], [3, 4], [5, NaN]]]}',
        b'{"sequences": [[[1, 2], [3, 4], [5, 1e39]]]}',  # beyond float32
        b'{"sequences": [[[1, 2], [3, 4], [5, 6]]], "sequences": [[[1, 2], [3, 4], [5, 7]]]}',
        b'{"sequences": [[[1, 2], [3, 4], [5, 6]]], "version": true}',
        b'{"sequences": [[[1, 2], [3, 4], [5, 6]]], "unknown": 1}',
        b'{"sequences": [[[1, 2], [3, 4], [5]]]}',
        b'{"sequences": [[[1, 2, 3, 4], [5, 6]]]}',
        b'{"sequences": [[[1, 2]], [[3, 4], [5, 6]]]}',
        b'{"sequences": [[[[1, 2], [3, 4], [5, 6]]]]}',
        b'{"sequences": []}',
        b'\xef\xbb\xbf{"sequences": [[[1, 2], [3, 4], [5, 6]]]}',
        b"[1]",
        b"",
    ],
)
def test_whatever_is_doubtful_is_left_to_the_strict_way(body):
    assert read_fast(body, of(2, 3, 3)) is None


def test_too_many_and_too_long_are_left_to_the_strict_way_which_says_so():
    body = json.dumps({"sequences": [[[1, 2]] * 3] * 101}).encode()
    assert read_fast(body, of(2, 3, 3)) is None
    with pytest.raises(HttpError, match="at most 100 sequences"):
        read_strictly(body, of(2, 3, 3))
    body = json.dumps({"sequences": [[[1, 2]] * 101]}).encode()
    assert read_fast(body, of(2, 3, None)) is None
    with pytest.raises(HttpError, match="3 to 100 time steps"):
        read_strictly(body, of(2, 3, None))
