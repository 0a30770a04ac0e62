"""HEAD wherever there is GET, and what a 405 says is allowed."""

import pytest

from tests.scraping import scrape


def same(headers):
    """The headers that do not differ from one request to the next, and not by how a body is cut."""
    return {name: value for name, value in headers.items() if name not in {"date", "x-request-id", "transfer-encoding"}}


@pytest.fixture(scope="module")
def id(client, example):
    return client.post("/predict", json={"model": "planted-before", "sequences": [example("planted-before")]}).json()[
        "id"
    ]


def test_head_is_get_without_its_body(client, id):
    kept = [
        f"/attention/{id}",
        f"/attention/{id}.svg",
        f"/attention/{id}/faithfulness",
        f"/attention/compare?a={id}&b={id}",
    ]
    paths = ["/", "/docs", "/openapi.json", "/models", "/attention", "/livez", "/readyz", "/v2", "/web/page.js", *kept]
    for path in (*paths, "/attention/export.csv?model=planted-before&limit=1"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert same(head.headers) == same(get.headers), path


def test_head_of_what_is_not_there(client):
    head, get = client.head("/attention/nope"), client.get("/attention/nope")
    assert (head.status_code, head.content) == (404, b"")
    assert same(head.headers) == same(get.headers)


def test_head_is_counted_by_its_route(client, server):
    before = scrape(server)("http_requests_total", method="HEAD", route="/models", status="200")
    client.head("/models")
    assert scrape(server)("http_requests_total", method="HEAD", route="/models", status="200") == before + 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("HEAD", "/predict", "POST"),
        ("OPTIONS", "/attention", "DELETE, GET, HEAD"),
        ("PUT", "/attention", "DELETE, GET, HEAD"),
        ("PUT", "/attention/nope", "DELETE, GET, HEAD"),
        ("GET", "/models/nope/pin", "DELETE, PUT"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("GET", "/v2/models/nope/infer", "POST"),
    ],
)
def test_what_a_405_allows(client, method, path, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_errors_of_the_open_inference_protocol_have_its_form(client):
    for path in ("/v2", "/v2/models/nope/infer"):
        answer = client.put(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {"error": f"PUT {path}: Method Not Allowed; /docs lists what there is"}
