"""Every error through HTTP: its status, its form, its place."""

import gzip

import pytest

GOOD = [[0.0, 0.0]] * 20


def body(sequences, **fields):
    return {"model": "planted-before", "sequences": sequences, **fields}


def with_value(value):
    """A good sequence but for one value, at step 17, feature 1."""
    return [*GOOD[:17], [0.0, value], *GOOD[18:]]


def check(response, status, detail, pointer=None):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert response.status_code == problem["status"] == status, problem
    assert detail in problem["detail"]
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("request_body", "pointer", "detail"),
    [
        (body([GOOD, with_value(None)]), "/sequences/1/17/1", "expected a number, received null"),
        (body([GOOD, with_value("3")]), "/sequences/1/17/1", 'expected a number, received "3"'),
        (body([GOOD, with_value(True)]), "/sequences/1/17/1", "expected a number, received true"),
        (body([GOOD, with_value(1e39)]), "/sequences/1/17/1", "expected a number that fits float32"),
        (body([GOOD[:-1]]), "/sequences/0", "expected 20 time steps, received 19"),
        (body([[*GOOD, [0.0, 0.0]]]), "/sequences/0", "expected 20 time steps, received 21"),
        (body([[*GOOD[:-1], [0.0]]]), "/sequences/0/19", "expected a list of 2 numbers (x0, x1), received a list of 1"),
        (body([[[0.0, 0.0, 0.0]] * 20]), "/sequences/0/0", "received a list of 3"),
        (body([[]]), "/sequences/0", "expected 20 time steps, received 0"),
        (body([]), "/sequences", "expected at least one sequence, received none"),
        (body(["text"]), "/sequences/0", 'received "text"'),
        (body([[[0.0, 0.0]] * 6], model="japanese-vowels"), "/sequences/0/0", "expected a list of 12 numbers"),
        (body([[]], model="japanese-vowels"), "/sequences/0", "expected 1 to 10000 time steps, received 0"),
        (body([GOOD], model=None), "/model", "one of dates, italy-power, "),
        (body([GOOD], attention="per_feature"), "/attention", "has no attention vector per feature"),
        (body([GOOD], unknown=1), "/unknown", "expected no such field"),
        (body([GOOD], **{"a/b~c": 1}), "/a~1b~0c", "expected no such field"),
        ([1, 2], "", "expected an object, received a list of 2"),
    ],
)
def test_what_is_json_but_no_request_is_422_with_the_place(client, request_body, pointer, detail):
    check(client.post("/predict", json=request_body), 422, detail, pointer)


@pytest.mark.parametrize(
    ("literal", "received"), [(b"NaN", "NaN"), (b"-Infinity", "-Infinity"), (b"1e999", "Infinity")]
)
def test_numbers_that_are_not_finite_are_422_with_the_place(client, literal, received):
    steps = b", ".join([b"[0, %s]" % literal] + [b"[0, 0]"] * 19)
    content = b'{"model": "planted-before", "sequences": [[%s]]}' % steps
    response = client.post("/predict", content=content, headers={"Content-Type": "application/json"})
    check(response, 422, f"expected a finite number, received {received}", "/sequences/0/0/1")


@pytest.mark.parametrize("content", [b"", b"{", b"sequences=1", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_400(client, content):
    check(client.post("/predict", content=content, headers={"Content-Type": "application/json"}), 400, "expected JSON")


def test_unknown_models_and_versions_are_404(client):
    check(client.post("/predict", json=body([GOOD], model="nope")), 404, "expected a model out of ['dates'")
    check(client.post("/predict", json=body([GOOD], version=9)), 404, "expected a version of planted-before out of [1]")


def test_unknown_explanations_and_paths_are_404(client):
    for path in ("/attention/nope", "/attention/nope.svg", "/attention/nope/faithfulness"):
        check(client.get(path), 404, 'expected the id of a kept explanation, received "nope": never given, deleted')
    check(client.get(f"/attention/{'x' * 500}"), 404, f'received "{"x" * 58}…: never given')
    check(client.get("/attention/draw.svg"), 404, "what is not kept is drawn by POST /attention/draw.svg")
    check(client.get("/nope"), 404, "GET /nope: Not Found; /docs lists what there is")


def test_a_wrong_method_is_405(client):
    response = client.get("/predict")
    check(response, 405, "GET /predict: Method Not Allowed")
    assert response.headers["allow"] == "POST"


def test_another_media_type_is_415(client):
    response = client.post("/predict", content=b"{}", headers={"Content-Type": "text/csv"})
    check(
        response,
        415,
        "application/x-npz or application/x-ndjson, received text/csv",
    )


def test_a_body_that_says_it_is_too_large_is_413(client):
    check(client.post("/predict", content=b" " * 16_000_001), 413, "at most 16000000 bytes, received 16000001")


def test_a_body_that_turns_out_too_large_is_413(client):
    chunks = (b" " * 1_000_000 for _ in range(17))
    check(client.post("/predict", content=chunks), 413, "at most 16000000 bytes, received more")


def test_a_body_of_the_largest_size_is_read(client):
    check(client.post("/predict", content=b" " * 16_000_000), 400, "expected JSON")


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"limit": 0}, 'the query parameter limit: expected greater than or equal to 1, received "0"'),
        ({"limit": "x"}, 'the query parameter limit: expected a valid integer, received "x"'),
        ({"limit": "9" * 5000}, 'the query parameter limit: expected a valid integer, received "999'),
        ({"cursor": "x"}, 'the query parameter cursor: expected a valid UUID, received "x"'),
        ({"model": ""}, 'the query parameter model: expected 1 or more characters, received ""'),
        ({"sequence": "x"}, 'the query parameter sequence: expected a text that matches ^[0-9a-f]{64}$, received "x"'),
        ({"since": "yesterday"}, "the query parameter since: expected a date, or a date with a time, as ISO 8601 "),
        ({"until": "20261101000000"}, 'Z), received "20261101000000"'),  # seconds? a day?
        (
            {"modle": "x"},
            "expected no such parameter (the parameters are cursor, label, limit, model, sequence, since, ",
        ),
    ],
)
def test_a_wrong_parameter_is_422(client, params, detail):
    check(client.get("/attention", params=params), 422, detail)


@pytest.mark.parametrize(
    ("path", "formats", "received"),
    [
        ("export.xlsx", "csv, parquet, npz", "xlsx"),
        ("nope.gif", "svg, png, html, vl.json", "gif"),
        ("nope.SVG", "svg, png, html, vl.json", "SVG"),
        ("summary.csv", "svg, png, html, vl.json", "csv"),
    ],
)
def test_a_format_that_there_is_not_is_404(client, path, formats, received):
    check(client.get(f"/attention/{path}"), 404, f'expected a format out of {formats}, received "{received}"')


def test_a_missing_parameter_is_422(client):
    detail = "the query parameter model: expected this parameter, received nothing"
    check(client.get("/attention/export.csv"), 422, detail, "the query parameter model")


@pytest.fixture(scope="module")
def written(client, example):
    """Requests with a body beside POST /predict: method, path and a body that is good, of what is not there."""
    id = client.post("/predict", json=body([example("planted-before")])).json()["id"]
    return [("PUT", "/models/nobody/pin", b'{"version": 1}'), ("POST", f"/attention/{id}/compare", b'{"version": 9}')]


def test_every_body_is_read_alike(client, written):
    for method, path, good in written:

        def ask(content, method=method, path=path, **headers):
            return client.request(method, path, content=content, headers=headers)

        check(ask(good), 404, "expected a")  # whatever its Content-Type
        check(ask(gzip.compress(good), **{"Content-Encoding": "gzip"}), 404, "expected a")
        check(ask(good, **{"Content-Encoding": "br"}), 415, "received br")
        check(ask(b"{"), 400, "expected JSON, received: ")
        check(ask(b""), 400, "expected JSON, received: ")
        check(ask(b" " * 16_000_001), 413, "at most 16000000 bytes, received 16000001")
        check(ask(b'{"version": "1"}'), 422, '/version: expected a valid integer, received "1"', "/version")
        check(ask(b'{"version": 1, "nope": 1}'), 422, "expected no such field", "/nope")
        check(ask(b"[]"), 422, "the body: expected an object, received a list of 0", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("PUT", "/models/nobody/pin"),
        ("DELETE", "/models/nobody/pin"),
        ("POST", "/models/nobody/versions/1/load"),
        ("GET", "/attention/nope"),
        ("DELETE", "/attention/nope"),
        ("GET", "/attention/nope.svg"),
        ("GET", "/attention/nope/faithfulness"),
        ("GET", "/attention/summary"),
        ("GET", "/attention/compare.svg"),
        ("POST", "/attention/draw.svg"),
        ("GET", "/attention/export.csv"),
    ],
)
def test_a_parameter_that_there_is_not_is_422(client, method, path):
    answer = client.request(method, path, params={"limt": "1"})
    check(answer, 422, 'received "1"', "the query parameter limt")
    assert "no such parameter (the" in answer.json()["detail"]


def test_a_query_beside_a_json_body_is_422(client):
    detail = 'the query parameter store: expected none beside a JSON body, which holds all fields, received "false"'
    check(client.post("/predict", json=body([GOOD]), params={"store": "false"}), 422, detail)
