"""Examples in /docs that run: made from the examples that the served models carry."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from service.errors import Fault, Problem
from service.manifest import Manifest
from service.repository import Repository


def example_request(manifest: Manifest) -> dict[str, Any] | None:
    """A request that the model answers, in its shortest form; None where it carries no examples."""
    sequences: list[Any] = [example.sequence for example in manifest.examples]
    if not sequences:
        return None
    if len(manifest.features) == 1 and manifest.vocabulary is None:
        sequences = [[step[0] for step in sequence] for sequence in sequences]
    return {"model": manifest.name, "sequences": sequences}


def add_examples(app: FastAPI, repository: Repository) -> None:
    """Completes the app's OpenAPI document with examples for the models served, and with the error schema."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        schemas[Problem.__name__] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[Problem.__name__].pop("$defs")
        schemas[Fault.__name__] = Fault.model_json_schema()
        body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        requests = {
            version.name: example_request(version.manifest)
            for version in repository.served
            if version.manifest is not None and repository.is_default(version)
        }
        body["examples"] = {name: {"value": request} for name, request in requests.items() if request}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
