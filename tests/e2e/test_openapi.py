"""What /openapi.json says of the routes."""

import json

import pytest

ERRORS = {"application/problem+json": "Problem", "application/json": "InferError"}
OWN = ("/attention", "/models", "/predict", "/v2", "/livez", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


@pytest.fixture(scope="module")
def operations(document):
    """Method, path and operation."""
    found = [(method, path, found) for path, methods in document["paths"].items() for method, found in methods.items()]
    assert len(found) > 30
    assert all(path.startswith(OWN) for _, path, _ in found)
    return found


def test_errors_have_the_forms_that_are_answered(operations, document):
    for method, path, operation in operations:
        for status, answer in operation["responses"].items():
            if status >= "400":
                [(media_type, content)] = answer["content"].items()
                assert media_type == ("application/json" if path.startswith("/v2") else "application/problem+json")
                assert content["schema"]["$ref"].endswith(f"/{ERRORS[media_type]}"), (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_refuses_unknown_parameters_says_422(operations):
    of_parameters = [one for one in operations if one[1].startswith(("/attention", "/models", "/predict"))]
    assert [(method, path) for method, path, found in of_parameters if "422" not in found["responses"]] == []


def test_every_parameter_is_described_and_every_body_has_an_example(operations):
    for method, path, operation in operations:
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (method, path, parameter["name"])
        if path.startswith(("/attention", "/models", "/predict")) and "requestBody" in operation:
            assert {"example", "examples"} & operation["requestBody"]["content"]["application/json"].keys(), path


def test_head_is_not_listed_beside_get(operations):
    assert {method for method, _, _ in operations} == {"get", "post", "put", "delete"}


def test_a_prediction_comes_first(document):
    assert next(iter(document["paths"])) == "/predict"


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    references = {part.partition('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert references <= document["components"]["schemas"].keys()


def test_an_explanation_and_a_comparison(document):
    one = document["paths"]["/attention/{id}"]["get"]["responses"]
    assert one.keys() == {"200", "304", "404", "422", "429", "503", "504"}
    assert one["200"]["content"].keys() == {"application/json", "text/html", "image/svg+xml", "image/png"}
    kinds = [kind["$ref"].rpartition("/")[2] for kind in one["200"]["content"]["application/json"]["schema"]["anyOf"]]
    assert kinds == ["ExplanationResponse", "OcclusionResponse"]
    assert "304" in document["paths"]["/attention/compare"]["get"]["responses"]


def test_the_examples_of_bodies_are_answered(client, document, example):
    id = client.post("/predict", json={"model": "planted-before", "sequences": [example("planted-before")]}).json()[
        "id"
    ]
    body = document["paths"]["/attention/{id}/compare"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post(f"/attention/{id}/compare", json=body["example"]).status_code == 200
    body = document["paths"]["/attention/draw.{format}"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/attention/draw.vl.json", json=body["example"]).status_code == 200
