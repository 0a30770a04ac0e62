"""1,000 damaged requests that hold arrays, tensors and lines: none of them is answered with a 500."""

import io
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bodies import bounded

BLOCK = np.random.default_rng(0).standard_normal((2, 20, 2)).astype(np.float32)
LENGTH = "Inference-Header-Content-Length"
seen: dict[int, int] = {}


def saved(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


FILES = {
    "application/x-npy": saved(np.save, BLOCK),
    "application/x-npz": saved(np.savez, sequences=BLOCK, lengths=np.array([20, 20])),
}
HEAD = {
    "id": "x",
    "inputs": [
        {
            "name": "sequences",
            "shape": [2, 20, 2],
            "datatype": "FP32",
            "parameters": {"binary_data_size": BLOCK.nbytes},
        },
        {"name": "lengths", "shape": [2], "datatype": "INT32", "data": [20, 20]},
    ],
    "outputs": [{"name": "prediction", "parameters": {"binary_data": False}}],
    "parameters": {"deadline": 20.0, "priority": 0},
}


@st.composite
def damaged(draw, body):
    """The body, of which some bytes were lost, doubled or replaced: most often at its beginning, where it says most."""
    body = bytearray(body)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.one_of(st.integers(0, 150), st.integers(0, len(body))))
        body[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(body)


@st.composite
def changed(draw, value):
    """JSON of which a few values are others."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
    )
    if draw(st.integers(0, 30)) == 0:
        return draw(leaves)
    if isinstance(value, dict):
        return {name: draw(changed(one)) for name, one in value.items()}
    if isinstance(value, list):
        return [draw(changed(one)) for one in value]
    return value


def check(response, statuses):
    seen[response.status_code] = seen.get(response.status_code, 0) + 1
    assert response.status_code in statuses, response.text


@settings(bounded, max_examples=400)
@given(data=st.data())
def test_damaged_files_never_fail_the_server(client, data):
    media_type = data.draw(st.sampled_from(sorted(FILES)))
    accept = data.draw(st.sampled_from([*FILES, "*/*"]))
    headers = {"Content-Type": media_type, "Accept": accept}
    params = {"model": "planted-before", "store": "false"}
    content = data.draw(damaged(FILES[media_type]))
    check(client.post("/predict", content=content, params=params, headers=headers), {200, 400, 413, 422})


@settings(bounded, max_examples=400)
@given(data=st.data())
def test_damaged_tensors_never_fail_the_server(client, data):
    head = json.dumps(data.draw(changed(HEAD))).encode()
    length = data.draw(st.one_of(st.just(len(head)), st.integers(-1, 2000)))
    body = data.draw(damaged(head + BLOCK.tobytes())) if data.draw(st.booleans()) else head + BLOCK.tobytes()
    response = client.post("/v2/models/planted-before/infer", content=body, headers={LENGTH: str(length)})
    check(response, {200, 400, 413, 422})
    if response.status_code != 200:
        assert list(response.json()) == ["error"]


@settings(bounded, max_examples=200)
@given(data=st.data())
def test_damaged_lines_are_answered_one_by_one(client, data):
    line = json.dumps(BLOCK[0].tolist()).encode()
    content = b"\n".join(data.draw(damaged(line)) for _ in range(3))
    response = client.post(
        "/predict?model=planted-before", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    check(response, {200})
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert [answer["line"] for answer in answers] == [n for n, one in enumerate(content.split(b"\n"), 1) if one.strip()]
    assert all(answer.get("status", 400) in {400, 422} for answer in answers)


def test_both_good_and_bad_requests_were_among_them():
    assert seen[200] > 150
    assert seen[422] > 150
    assert seen[400] > 50
