"""Examples in /docs that run: made from the examples that the served models carry."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from service.errors import Fault, Problem
from service.manifest import Manifest
from service.models.repository import Repository
from service.open_inference.requests import datatypes
from service.open_inference.schemas import IndexRequest, InferRequest, LoadRequest
from service.schemas.compare import CompareRequest
from service.schemas.models import PinRequest


def example_request(manifest: Manifest) -> dict[str, Any] | None:
    """A request that the model answers, in its shortest form; None where it carries no examples."""
    sequences: list[Any] = [example.sequence for example in manifest.examples]
    if not sequences:
        return None
    if len(manifest.features) == 1 and manifest.vocabulary is None:
        sequences = [[step[0] for step in sequence] for sequence in sequences]
    return {"model": manifest.name, "sequences": sequences}


def example_inference(manifest: Manifest) -> dict[str, Any] | None:
    """A request of the Open Inference Protocol that the model answers; None where it carries no examples."""
    if not manifest.examples:
        return None
    sequence: Any = manifest.examples[0].sequence
    shape = [1] if isinstance(sequence, str) else [1, len(sequence), len(manifest.features)]
    datatype = datatypes(manifest)["sequences"]
    return {"inputs": [{"name": "sequences", "shape": shape, "datatype": datatype, "data": [sequence]}]}


EXAMPLES = {
    "/predict": example_request,
    "/v2/models/{name}/infer": example_inference,
    "/v2/models/{name}/explain": example_inference,
}
READ_BY_HAND = (InferRequest, IndexRequest, LoadRequest, CompareRequest, PinRequest)


def add_examples(app: FastAPI, repository: Repository) -> None:
    """Completes the app's OpenAPI document with examples for the models served, and with the error schema."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        schemas[Problem.__name__] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[Problem.__name__].pop("$defs")
        schemas[Fault.__name__] = Fault.model_json_schema()
        for kind in READ_BY_HAND:
            schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas[kind.__name__] = schema
        manifests = [version.manifest for version in repository.served if repository.is_default(version)]
        for path, example in EXAMPLES.items():
            requests = {manifest.name: example(manifest) for manifest in manifests if manifest is not None}
            body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            body["examples"] = {name: {"value": request} for name, request in requests.items() if request}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
