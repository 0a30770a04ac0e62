"""/v2, byte by byte: what is answered, and that nothing that is sent is believed before it is checked."""

import gzip
import json
import struct
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.scraping import scrape
from tests.serving import MODELS, serving

LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/planted-before/infer"
VOWELS = "/v2/models/japanese-vowels/infer"
random = np.random.default_rng(0)
BLOCK = random.standard_normal((3, 20, 2)).astype(np.float32)


def session(model):
    import onnxruntime

    return onnxruntime.InferenceSession(MODELS / model / "1" / "model.onnx")


def tensor(name, array, **more):
    kind = {"f": "FP32", "i": "INT32"}[array.dtype.kind]
    return {"name": name, "shape": array.shape, "datatype": kind, "data": array.ravel().tolist(), **more}


def binary(*arrays, **more):
    """Body and headers of a request with the arrays behind the JSON."""
    tensors = [
        {**tensor(name, array), "parameters": {"binary_data_size": array.nbytes}, "data": None}
        for name, array in arrays
    ]
    head = json.dumps({"inputs": tensors, **more}).encode()
    return head + b"".join(array.tobytes() for _, array in arrays), {LENGTH: str(len(head))}


def read(response):
    """The arrays of an answer, whatever form they have."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get(LENGTH, len(response.content)))
    answer, behind = json.loads(response.content[:length]), response.content[length:]
    arrays = {}
    for output in answer["outputs"]:
        if "data" in output:
            data = output["data"]
        else:
            size = output["parameters"]["binary_data_size"]
            data, behind = np.frombuffer(behind[:size], "<f4"), behind[size:]
        arrays[output["name"]] = np.array(data).reshape(output["shape"])
    assert not behind
    return answer, arrays


def check(response, status, *parts):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    for part in parts:
        assert part in response.json()["error"]


def test_json_binary_and_nested_data_are_answered_as_onnxruntime_does(client):
    prediction, attention = session("planted-before").run(["prediction", "attention"], {"sequences": BLOCK})
    body, headers = binary(("sequences", BLOCK))
    nested = {**tensor("sequences", BLOCK), "data": BLOCK.tolist()}
    wishes = {"parameters": {"binary_data_output": True}}
    for response in (
        client.post(INFER, json={"inputs": [tensor("sequences", BLOCK)]}),
        client.post(INFER, json={"inputs": [nested], **wishes}),
        client.post("/v2/models/planted-before/versions/1/infer", content=body, headers=headers),
    ):
        answer, arrays = read(response)
        assert (answer["model_name"], answer["model_version"]) == ("planted-before", "1")
        assert [output["datatype"] for output in answer["outputs"]] == ["FP32", "FP32"]
        np.testing.assert_allclose(arrays["prediction"], prediction, atol=1e-6)
        np.testing.assert_allclose(arrays["attention"], attention, atol=1e-6)


def test_padding_says_nothing_and_weighs_nothing(client):
    block, lengths = random.standard_normal((4, 30, 12)).astype(np.float32), np.array([5, 30, 1, 17], np.int32)
    expected = session("japanese-vowels").run(["prediction", "attention"], {"sequences": block, "lengths": lengths})
    block[0, 5:] = np.nan  # padding is not looked at
    body, headers = binary(("sequences", block), ("lengths", lengths))
    _, arrays = read(client.post(VOWELS, content=body, headers=headers))
    np.testing.assert_allclose(arrays["prediction"], expected[0], atol=1e-5)
    np.testing.assert_allclose(arrays["attention"], expected[1], atol=1e-5)
    assert not arrays["attention"][0, 5:].any()
    _, full = read(client.post(VOWELS, json={"inputs": [tensor("sequences", block[1:2])]}))  # no lengths: all are full
    np.testing.assert_allclose(full["attention"][0], arrays["attention"][1], atol=1e-5)


def test_texts_in_and_out(client, example):
    texts = [example("dates"), "3 mars 2021"]
    expected = client.post("/predict", json={"model": "dates", "sequences": texts, "store": False}).json()
    data = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    tensors = [{"name": "sequences", "shape": [2], "datatype": "BYTES"}]
    head = json.dumps({"inputs": [{**tensors[0], "parameters": {"binary_data_size": len(data)}}]}).encode()
    for response in (
        client.post("/v2/models/dates/infer", json={"inputs": [{**tensors[0], "data": texts}]}),
        client.post("/v2/models/dates/infer", content=head + data, headers={LENGTH: str(len(head))}),
    ):
        answer, arrays = read(response)
        assert arrays["prediction"].tolist() == expected["predictions"]
        assert answer["outputs"][0]["datatype"] == "BYTES"
        np.testing.assert_allclose(arrays["probability"], expected["probabilities"], atol=1e-6)
        for found, weights in zip(arrays["attention"], expected["attention"], strict=True):
            rows, columns = len(weights), len(weights[0])
            np.testing.assert_allclose(found[:rows, :columns], weights, atol=1e-6)
            assert not found[rows:].any()
            assert not found[:, columns:].any()


def test_ids_wishes_and_compression(client):
    tensors = [tensor("sequences", BLOCK)]
    wanted = [{"name": "attention", "parameters": {"binary_data": True}}, {"name": "prediction"}]
    content = json.dumps({"id": "mine", "inputs": tensors, "outputs": wanted}).encode()
    for encoding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        response = client.post(INFER, content=pack(content), headers={"Content-Encoding": encoding})
        answer, _ = read(response)
        assert answer["id"] == "mine"
        assert [output["name"] for output in answer["outputs"]] == ["attention", "prediction"]
        assert ["data" in output for output in answer["outputs"]] == [False, True]
    answer, arrays = read(client.post(INFER, json={"inputs": tensors, "outputs": [{"name": "prediction"}]}))
    assert list(arrays) == ["prediction"]
    assert not {"id", "parameters"} & set(answer)


def test_an_explanation_is_kept_where_that_is_asked_for(client):
    body, headers = binary(("sequences", BLOCK), parameters={"store": True, "priority": 2, "deadline": 20})
    answer, arrays = read(client.post(INFER, content=body, headers=headers))
    kept = client.get(f"/attention/{answer['parameters']['explanation']}").raise_for_status().json()
    assert [bool(one["label"]) for one in kept["sequences"]] == [True] * 3
    np.testing.assert_allclose([one["attention"] for one in kept["sequences"]], arrays["attention"], atol=1e-6)
    np.testing.assert_allclose(kept["sequences"][1]["sequence"], BLOCK[1], atol=1e-6)


def test_explain_answers_what_attention_would(client):
    request = {"id": "7", "inputs": [tensor("sequences", BLOCK)], "parameters": {"store": True}}
    answer = client.post("/v2/models/planted-before/explain", json=request).raise_for_status().json()
    kept = client.get(f"/attention/{answer['parameters']['explanation']}").json()
    assert answer["explanations"] == kept["sequences"]
    assert all(one["label"] for one in kept["sequences"])
    quiet = client.post("/v2/models/planted-before/explain", json=request | {"parameters": {}}).json()
    assert quiet["explanations"] == kept["sequences"]
    assert "parameters" not in quiet
    assert (answer["id"], answer["model_name"]) == ("7", "planted-before")
    many = {"inputs": [tensor("sequences", np.repeat(BLOCK, 100, axis=0))]}
    check(client.post("/v2/models/planted-before/explain", json=many), 422, "at most 256 sequences to explain", "300")


def test_what_the_server_is_and_has(client):
    server = client.get("/v2").json()
    assert server["name"] == "attention-lstm"
    assert {"binary_tensor_data", "model_repository", "explain"} <= set(server["extensions"])
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    vowels = client.get("/v2/models/japanese-vowels/versions/1").json()
    assert [(one["name"], one["shape"]) for one in vowels["inputs"]] == [("sequences", [-1, -1, 12]), ("lengths", [-1])]
    assert [(one["name"], one["shape"]) for one in vowels["outputs"]] == [
        ("prediction", [-1, 9]),
        ("attention", [-1, -1]),
    ]
    dates = client.get("/v2/models/dates").json()
    assert dates["inputs"] == [{"name": "sequences", "datatype": "BYTES", "shape": [-1]}]
    index = client.post("/v2/repository/index").json()
    assert {entry["name"] for entry in index} == {path.name for path in MODELS.iterdir() if path.is_dir()}


def test_documented_and_counted(client, server):
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]
    for name, example in body["examples"].items():
        read(client.post(f"/v2/models/{name}/infer", json=example["value"]))
    reference = body["schema"]["$ref"].rpartition("/")[2]
    assert "inputs" in document["components"]["schemas"][reference]["properties"]
    counted = scrape(server)("http_requests_total", route="/v2/models/{name}/infer", status="200")
    assert counted >= len(body["examples"])


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"shape": [10**18, 20, 2]}, ["/inputs/0/data: expected", "received 120"]),
        ({"shape": [-1, 20, 2]}, ["/inputs/0/shape/0: expected 1 or more, received -1"]),
        ({"shape": [0, 20, 2], "data": []}, ["/inputs/0/shape/0: expected 1 or more"]),
        ({"shape": []}, ["/inputs/0/shape: expected an axis at least"]),
        ({"shape": [1] * 99}, ["/inputs/0/shape: expected"]),
        (
            {"shape": [60, 2]},
            ["/sequences: expected an array (batch, 20 time steps × 2 features), received one of shape"],
        ),
        ({"shape": [3, 40]}, ["received one of shape (3, 40)"]),
        ({"shape": [2, 30, 2]}, ["/sequences/0: expected 20 time steps, received 30"]),
        ({"datatype": "FP64"}, ['/inputs/0/datatype: expected FP32, received "FP64"']),
        ({"name": "x"}, ["/inputs/0/name: expected inputs out of ['sequences', 'lengths'], each once"]),
        ({"data": None}, ["/inputs/0/data: expected data, or binary_data_size"]),
        ({"data": [True] * 120}, ["/inputs/0/data/0 (element [0, 0, 0]): expected a valid number, received true"]),
        ({"data": ["1"] * 120}, ["/inputs/0/data/0"]),
        ({"data": [0.0] * 119}, ["expected 120 values for the shape [3, 20, 2], received 119"]),
        ({"data": [[0.0] * 40, [0.0] * 20, [0.0] * 60]}, ["expected lists of 20, received a list of 40"]),
        ({"data": [0.0] * 57 + [1e39] + [0.0] * 62}, ["(sequence 1, step 8, feature x1), received inf"]),
        ({"parameters": {"binary_data_size": 480}}, ["/inputs/0/data: expected none beside binary_data_size"]),
        ({"parameters": {"binary_data_size": -4}, "data": None}, ["expected a number of bytes, received -4"]),
        ({"parameters": {"binary_data_size": 2**70}, "data": None}, ["expected at most the 0 bytes that are left"]),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(client, change, parts):
    check(client.post(INFER, json={"inputs": [{**tensor("sequences", BLOCK), **change}]}), 422, *parts)


@pytest.mark.parametrize(
    ("lengths", "part"),
    [
        (np.array([5, -1], np.int32), "/lengths/1: expected 1 to 9, the steps of the array, received -1"),
        (np.array([5, 10], np.int32), "/lengths/1: expected 1 to 9, the steps of the array, received 10"),
        (np.array([5], np.int32), "/lengths: expected an array of integers of shape (2,)"),
        (np.array([[5, 5]], np.int32), "/lengths: expected an array of integers of shape (2,)"),
    ],
)
def test_lengths_that_cannot_be_are_refused(client, lengths, part):
    body, headers = binary(("sequences", np.zeros((2, 9, 12), np.float32)), ("lengths", lengths))
    check(client.post(VOWELS, content=body, headers=headers), 422, part)


def test_a_value_that_is_not_finite_is_refused_with_its_place(client):
    block = np.zeros((2, 9, 12), np.float32)
    block[1, 3, 7] = np.nan
    lengths = np.array([2, 5], np.int32)
    for content, headers in (
        binary(("sequences", block), ("lengths", lengths)),
        (json.dumps({"inputs": [tensor("sequences", block), tensor("lengths", lengths)]}), {}),
    ):
        response = client.post(VOWELS, content=content, headers=headers)
        place = (
            ("(sequence 1, step 3, feature", "received nan") if headers else ("(element [1, 3, 7])", "finite number")
        )
        check(response, 422, *place)


@pytest.mark.parametrize("length", ["0", "-1", "9999999", "1e3", "", "99999999999999999999999", "٣"])
def test_a_header_length_that_cannot_be_is_refused(client, length):
    body, _ = binary(("sequences", BLOCK))
    response = client.post(INFER, content=body, headers={LENGTH.encode(): length.encode()})
    check(response, 422, "the header Inference-Header-Content-Length: expected bytes of the JSON part")


def test_a_header_length_that_lies_is_refused(client):
    body, headers = binary(("sequences", BLOCK))
    true = int(headers[LENGTH])
    check(client.post(INFER, content=body, headers={LENGTH: str(true - 1)}), 400, "expected JSON")
    check(client.post(INFER, content=body, headers={LENGTH: str(true + 8)}), 400, "expected JSON")
    check(client.post(INFER, content=body), 400, "expected JSON")
    check(client.post(INFER, content=body + b"more", headers=headers), 422, "received 4 more")
    check(client.post(INFER, content=body[:-4], headers=headers), 422, "at most the 476 bytes that are left")


def test_texts_that_lie_about_their_length_are_refused(client):
    for data, part in (
        (struct.pack("<I", 2**32 - 1) + b"x", "expected its length in 4 bytes, then as many, received fewer bytes"),
        (b"\x01\x00", "expected its length in 4 bytes"),
        (struct.pack("<I", 2) + b"\xff\xff", "expected UTF-8"),
        (b"\0" * 4, "expected 2 texts, received 1"),
    ):
        tensors = [
            {"name": "sequences", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
        ]
        head = json.dumps({"inputs": tensors}).encode()
        response = client.post("/v2/models/dates/infer", content=head + data, headers={LENGTH: str(len(head))})
        check(response, 422, part)


@pytest.mark.parametrize(
    ("request_body", "part"),
    [
        ({"inputs": []}, "/inputs: expected at least one input, received none"),
        ({}, "/inputs: expected this field, received nothing"),
        ({"inputs": [tensor("sequences", BLOCK)] * 2}, "/inputs/1/name: expected inputs out of"),
        ({"inputs": [tensor("lengths", np.array([20], np.int32))]}, "/inputs: expected an input sequences"),
        ({"outputs": [{"name": "x"}]}, "/outputs/0/name: expected outputs out of ['prediction', 'attention']"),
        (
            {"outputs": [{"name": "attention", "parameters": {"classification": 3}}]},
            "/outputs/0/parameters/classification",
        ),
        ({"parameters": {"deadline": -1}}, "/parameters/deadline: expected greater than 0"),
        ({"parameters": {"priority": "soon"}}, "/parameters/priority: expected 'interactive' or 'background'"),
        ({"parameters": {"store": 1}}, "/parameters/store: expected a valid boolean"),
        ({"parameters": {"sequence_id": 3}}, "/parameters/sequence_id: expected none"),
        ({"parameters": {"beam": 2}}, "planted-before writes no text"),
        ({"id": 3}, "/id: expected a valid string"),
    ],
)
def test_what_is_no_request_is_refused_with_its_place(client, request_body, part):
    whole = {"inputs": [tensor("sequences", BLOCK)], **request_body} if request_body else {}
    check(client.post(INFER, json=whole), 422, part)


def test_errors_have_the_form_of_the_protocol(client):
    check(client.post(INFER, content=b"{"), 400, "expected JSON")
    check(client.post(INFER, content=b"[" * 100_000), 400, "expected JSON")
    check(client.post("/v2/models/nope/infer", json={"inputs": [tensor("sequences", BLOCK)]}), 404, "out of ['dates'")
    check(client.get("/v2/models/planted-before/versions/9"), 404, "out of [1], received 9")
    check(client.get("/v2/models/planted-before/versions/x"), 422, "expected a valid integer")
    check(client.get("/v2/nope"), 404, "GET /v2/nope: Not Found")
    check(client.get(INFER), 405, "Method Not Allowed")
    check(client.post(INFER, content=b" " * 16_000_001), 413, "at most 16000000 bytes")
    bomb = zlib.compress(b" " * 200_000_000)
    check(client.post(INFER, content=bomb, headers={"Content-Encoding": "deflate"}), 413, "expands to more")


def test_load_and_unload(tmp_path):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "planted-before").symlink_to(MODELS / "planted-before")
    with serving(models=tmp_path) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        ready, load = "/v2/models/planted-before/ready", "/v2/repository/models/planted-before/load"
        assert client.get(ready).json() == {"name": "planted-before", "ready": True}
        client.post("/v2/repository/models/planted-before/unload").raise_for_status()
        check(client.get(ready), 503, "it is loaded when it is asked for")
        states = {entry["name"]: entry["state"] for entry in client.post("/v2/repository/index").json()}
        assert states == {"broken": "UNAVAILABLE", "planted-before": "UNAVAILABLE"}
        read(client.post(INFER, json={"inputs": [tensor("sequences", BLOCK)]}))  # loads it
        client.post("/v2/repository/models/planted-before/unload").raise_for_status()
        assert client.post(load, json={"parameters": {"version": "1"}}).json()["state"] == "READY"
        assert client.post("/v2/repository/index", json={"ready": True}).json()[0]["name"] == "planted-before"
        check(
            client.post(load, json={"parameters": {"config": "{}"}}), 422, "/parameters/config: expected no parameter"
        )
        check(client.post(load, json={"parameters": {"version": "2"}}), 404, "received 2")
        check(client.post("/v2/repository/models/nope/unload"), 404, "received 'nope'")


def test_memory_stays_flat_whatever_is_sent(client, server):
    """Requests that say they hold terabytes cost nothing."""
    with serving() as running, httpx.Client(base_url=running.url, timeout=30) as client:
        status = Path(f"/proc/{running.process.pid}/status")

        def resident():
            return int(status.read_text().partition("VmRSS:")[2].split()[0]) / 1024

        body, headers = binary(("sequences", BLOCK))
        client.post(INFER, content=body, headers=headers).raise_for_status()
        before = resident()
        for shape in ([2**40, 20, 2], [3, 2**60, 2], [2**62] * 16):
            for parameters in ({"binary_data_size": 2**50}, {"binary_data_size": 480}):
                head = json.dumps(
                    {"inputs": [{"name": "sequences", "shape": shape, "datatype": "FP32", "parameters": parameters}]}
                ).encode()
                lie = {LENGTH: str(len(head))}
                check(client.post(INFER, content=head + BLOCK.tobytes(), headers=lie), 422, "expected")
        assert resident() - before < 20
