"""POST /predict with NumPy's files: answered as JSON is, and nothing that they say is believed before it is checked."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.service.graphs import mean_model, write_model
from tests.serving import serving

NPY, NPZ = "application/x-npy", "application/x-npz"
random = np.random.default_rng(0)
BLOCK = random.standard_normal((3, 20, 2)).astype(np.float32)
QUIET = {"model": "planted-before", "store": "false"}


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(compress=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    return file.getvalue()


def post(client, content, media_type, accept="*/*", **params):
    headers = {"Content-Type": media_type, "Accept": accept}
    return client.post("/predict", content=content, params=params or QUIET, headers=headers)


def read(response):
    assert response.status_code == 200, response.text
    found = np.load(io.BytesIO(response.content), allow_pickle=False)
    return found if isinstance(found, np.ndarray) else dict(found)


def check(response, status, detail):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]


VALUES = BLOCK.tobytes()


def forged(header, values=VALUES, length=None):
    """A .npy whose header says what we want."""
    header = header.encode() if isinstance(header, str) else header
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) if length is None else length) + header + values


@pytest.fixture
def expected(client):
    body = {"model": "planted-before", "sequences": BLOCK.tolist(), "store": False}
    return client.post("/predict", json=body).raise_for_status().json()


def test_every_form_is_answered_alike(client, expected):
    for content, media_type in (
        (npy(BLOCK), NPY),
        (npy(BLOCK.astype(np.float64)), NPY),
        (npy(BLOCK.astype(">f4")), NPY),
        (npy(np.asfortranarray(BLOCK)), NPY),
        (npz(sequences=BLOCK), NPZ),
        (npz(compress=True, sequences=BLOCK, lengths=np.array([20, 20, 20])), NPZ),
    ):
        answer = post(client, content, media_type).json()
        np.testing.assert_allclose(answer["predictions"], expected["predictions"], atol=1e-6)
        np.testing.assert_allclose(answer["attention"], expected["attention"], atol=1e-6)
        assert answer["labels"] == expected["labels"]
        arrays = read(post(client, content, media_type, NPZ))
        assert sorted(arrays) == ["attention", "lengths", "prediction"]
        np.testing.assert_allclose(arrays["prediction"][:, 0], expected["predictions"], atol=1e-6)
        np.testing.assert_allclose(arrays["attention"], expected["attention"], atol=1e-6)
        assert arrays["lengths"].tolist() == [20, 20, 20]
        np.testing.assert_array_equal(read(post(client, content, media_type, NPY)), arrays["prediction"])


def test_lengths_and_one_feature(client):
    block, lengths = random.standard_normal((2, 9, 12)).astype(np.float32), np.array([4, 9])
    content = npz(sequences=block, lengths=lengths)
    arrays = read(post(client, content, NPZ, NPZ, model="japanese-vowels", store="false"))
    assert arrays["lengths"].tolist() == [4, 9]
    assert not arrays["attention"][0, 4:].any()
    np.testing.assert_allclose(arrays["attention"].sum(axis=1), 1, atol=1e-5)
    flat = random.standard_normal((2, 24))
    answer = post(client, npy(flat), NPY, model="italy-power", store="false").json()
    body = {"model": "italy-power", "sequences": flat.tolist(), "store": False}
    assert answer == client.post("/predict", json=body).json()


def test_json_and_texts_are_answered_as_arrays_too(client, example):
    body = {"model": "dates", "sequences": [example("dates"), "3 mars 2021"], "store": False}
    expected = client.post("/predict", json=body).json()
    arrays = read(client.post("/predict", json=body, headers={"Accept": f"{NPZ}, application/json;q=0.5"}))
    assert arrays["prediction"].tolist() == expected["predictions"]
    assert arrays["lengths"].tolist() == [len(text) for text in body["sequences"]]
    weights = np.array(expected["attention"][1])
    np.testing.assert_allclose(arrays["attention"][1, : weights.shape[0], : weights.shape[1]], weights, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "long", "short"),
    [("japanese-vowels", [[0] * 12] * 10_000, [[0] * 12]), ("dates", "3 May 1999" + " " * 4000, "3 May 1999")],
)
def test_a_long_one_among_many_short_ones_is_not_padded_without_a_bound(client, model, long, short):
    body = {"model": model, "sequences": [short] * 999 + [long], "store": False}
    refused = client.post("/predict", json=body, headers={"Accept": NPZ}, timeout=60)
    check(refused, 422, f"sequences in one array, where all are padded to {len(long)} steps, received 1000")
    predictions = client.post("/predict", json=body, headers={"Accept": NPY}, timeout=60)
    assert len(read(predictions)) == 1000
    if model == "dates":
        texts = {"name": "sequences", "datatype": "BYTES", "shape": [1000], "data": body["sequences"]}
        refused = client.post("/v2/models/dates/infer", json={"inputs": [texts]})
        assert (refused.status_code, "where all are padded to 4010" in refused.json()["error"]) == (422, True)


def test_explanations_are_kept_and_named(client, expected):
    arrays = read(post(client, npy(BLOCK), NPY, NPZ, model="planted-before"))
    kept = client.get(f"/attention/{arrays['id']}").raise_for_status().json()
    np.testing.assert_allclose(kept["sequences"][2]["attention"], arrays["attention"][2], atol=1e-6)
    assert [sequence["label"] for sequence in kept["sequences"]] == expected["labels"]


def test_weights_of_each_feature_on_request(tmp_path):
    write_model(tmp_path, "mean", graph=mean_model("per_feature"), attention="per_feature")
    with serving(models=tmp_path) as running, httpx.Client(base_url=running.url) as client:
        each = read(post(client, npy(BLOCK[:, :3]), NPY, NPZ, attention="per_feature"))["attention"]
        mean = read(post(client, npy(BLOCK[:, :3]), NPY, NPZ, attention="per_step"))["attention"]
    assert each.shape == (3, 3, 2)
    np.testing.assert_allclose(each.mean(axis=2), mean, atol=1e-6)


class Evil:
    def __reduce__(self):
        return (Path("/tmp/unpickled").touch, ())


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (pickle.dumps([1, 2]), 400, "expected sequences as .npy, received b'"),
        (npy(np.array([[Evil()]]), allow_pickle=True), 422, "objects are never unpickled, received the type '|O'"),
        (b"", 400, "expected sequences as .npy"),
        (b"\x93NUMPY\x01", 422, "expected a header of .npy, received 7 bytes in all"),
        (forged("", length=65535), 422, "expected a header of at most 1000 bytes, followed by the values, received a"),
        (forged("(" * 900), 422, "expected a header of .npy"),
        (forged("{'descr': '<f4', 'shape': (3, 20, 2)}"), 422, "with descr, fortran_order and shape"),
        (forged("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"), 422, "expected numbers"),
        (forged("{'descr': '<U9', 'fortran_order': False, 'shape': (1,)}"), 422, "expected numbers"),
        (forged("{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 20, 2)}"), 422, "an order, and a shape"),
        (forged("{'descr': '<f4', 'fortran_order': False, 'shape': (3, -20, 2)}"), 422, "an order, and a shape"),
        (forged("{'descr': '<f4', 'fortran_order': False, 'shape': (3, True, 2)}"), 422, "an order, and a shape"),
        (forged(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30}, 20, 2)}}"), 422, "bytes for float32"),
        (forged("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 20, 2)}", b""), 422, "none of them empty"),
        (npy(BLOCK)[:-1], 422, "expected 480 bytes for float32 of the shape (3, 20, 2), received 479"),
        (npy(BLOCK.astype(np.complex64)), 422, "received the type '<c8'"),
        (npy(BLOCK[:, :19]), 422, "/sequences/0: expected 20 time steps, received 19"),
        (npy(BLOCK[0]), 422, "expected an array (batch, 20 time steps × 2 features), received one of shape (20, 2)"),
        (npy(np.full((1, 20, 2), 1e39)), 422, "/sequences/0/0/0: expected a finite float32 (sequence 0, step 0, feat"),
    ],
)
def test_a_npy_that_is_not_what_it_says_is_refused(client, content, status, detail):
    check(post(client, content, NPY), status, detail)
    assert not Path("/tmp/unpickled").exists()


def archive(*files, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


GOOD = ("sequences.npy", npy(BLOCK))
BOMB = archive(("sequences.npy", bytes(200_000_000)), method=zipfile.ZIP_DEFLATED)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("make", "status", "detail"),
    [
        (lambda: b"no zip", 400, "expected .npz, received no ZIP"),
        (lambda: BOMB, 413, "received sequences.npy that expands to more"),
        (lambda: archive(GOOD)[:-30] + archive(GOOD)[-22:], 400, "expected .npz"),
        (lambda: archive(GOOD).replace(b"sequences.npy", b"sequencez.npy", 1), 400, "expected .npz"),
        (lambda: archive(GOOD, ("other.npy", npy(BLOCK))), 422, "expected the arrays sequences and, where they differ"),
        (lambda: archive(GOOD, GOOD), 422, "each once"),
        (lambda: archive(*[(f"{i}.npy", b"") for i in range(1000)]), 422, "whose directory has at most 1000 bytes"),
        (lambda: archive(GOOD, method=zipfile.ZIP_LZMA), 422, "files that are stored or deflated"),
        (lambda: npz(sequences=np.array([{}])), 422, "objects are never unpickled"),
        (
            lambda: npz(sequences=BLOCK, lengths=np.array([20, 20, 20.0])),
            422,
            "/lengths: expected an array of integers",
        ),
        (lambda: npz(sequences=BLOCK, lengths=np.array([20, 0, 20])), 422, "/lengths/1: expected 1 to 20"),
        (lambda: npz(sequences=BLOCK, lengths=np.array([20, 9, 20])), 422, "/sequences/1: expected 20 time steps"),
    ],
)
def test_a_npz_that_is_not_what_it_says_is_refused(client, make, status, detail):
    check(post(client, make(), NPZ), status, detail)


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"model": "nope"}, "expected a model out of ['dates'"),
        ({"model": "dates"}, "expected texts as JSON, because dates reads text"),
        ({"version": "x"}, "the query parameter version: expected a valid integer"),
        ({"modell": "planted-before"}, "the query parameter modell: expected no such field"),
        ({"model": "planted-before", "top_k": "3"}, "/top_k: expected none in application/x-npz, received 3"),
        ({"model": "planted-before", "faithfulness": "fast"}, "/faithfulness: expected none in application/x-npz"),
    ],
)
def test_what_the_query_says_is_checked(client, params, detail):
    check(post(client, npy(BLOCK), NPY, NPZ, **params), 404 if params.get("model") == "nope" else 422, detail)


def test_memory_stays_flat_whatever_is_sent():
    with serving() as running, httpx.Client(base_url=running.url, timeout=30) as client:
        status = Path(f"/proc/{running.process.pid}/status")

        def resident():
            return int(status.read_text().partition("VmRSS:")[2].split()[0]) / 1024

        post(client, npz(sequences=BLOCK), NPZ).raise_for_status()
        before = resident()
        lie = forged(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40}, 20, 2)}}")
        for _ in range(3):
            check(post(client, BOMB, NPZ), 413, "expands to more")
            check(post(client, lie, NPY), 422, "bytes for float64")
        assert resident() - before < 60  # the bomb is expanded to 16 MB before it is refused, of 200
