"""GET /attention/compare, of two explanations, and POST /attention/{id}/compare, of one with another model's answer."""

import asyncio
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson
from fastapi import APIRouter, Query, Request, Response

from service import reading, wire
from service.errors import Invalid, NotFound
from service.explanations.differences import compare
from service.explanations.record import Explanation, now
from service.manifest import Manifest
from service.models.repository import Repository
from service.predictor import Predictor
from service.ragged import Ragged
from service.routes import json_body, problems
from service.routes.bodies import read_body
from service.routes.caching import NOT_MODIFIED, json_of
from service.routes.finding import NO_INPUTS, Id, StoreDep, find
from service.routes.formats import Known
from service.schemas.compare import CompareRequest, CompareResponse

router = APIRouter(tags=["attention"])


@router.get(
    "/attention/compare",
    summary="Two explanations side by side",
    response_model=CompareResponse,
    responses={**NOT_MODIFIED, **problems(404, 422, 503)},
)
async def compare_explanations(
    store: StoreDep,
    a: Annotated[str, Query(description="the `id` of a POST /predict answer")],
    b: Annotated[str, Query(description="the `id` of another, of as many sequences")],
    known: Known = None,
) -> Response:
    """The predictions and the weights of both, and how far they differ: `b` less `a`."""
    return json_of(await _compare(await find(store, a), await find(store, b)), known)


@router.post(
    "/attention/{id}/compare",
    summary="What another model or version says of the same sequences",
    response_model=CompareResponse,
    responses=problems(400, 404, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=json_body(CompareRequest, example={"version": 1}),
)
async def compare_models(id: Id, store: StoreDep, request: Request) -> Response:
    """Predicts the sequences of an explanation again, with another model or version, and compares: `b` is what that
    one says now, and is not kept.
    """
    other = reading.read_json(await read_body(request), CompareRequest)
    a = await find(store, id)
    inputs = a.texts if a.texts is not None else a.sequences and a.sequences.nested()
    if inputs is None:
        raise NotFound(f"expected an explanation whose inputs are kept, to predict them again; {NO_INPUTS}")
    predictor: Predictor = request.app.state.predictor
    repository: Repository = request.app.state.repository
    found = repository.find(other.model or a.model, other.version)
    assert found.manifest is not None  # noqa: S101 (it is served)
    body: dict[str, Any] = {"model": found.name, "version": found.number, "sequences": inputs, "store": False}
    if a.beams is not None and found.manifest.vocabulary is not None:
        body["beam"] = a.beams[0]  # another search is another answer
    answer = orjson.loads(await predictor.predict(wire.dump(body)))
    return Response(await _compare(a, _read(a, answer, found.manifest)), media_type="application/json")


async def _compare(a: Explanation, b: Explanation) -> bytes:
    """See `CompareResponse`."""
    if len(a) != len(b):
        expected = f"an explanation with as many sequences, {len(a)}"
        raise Invalid.at("the query parameter b", expected, str(len(b)))
    sequences = await asyncio.to_thread(compare, a, b)
    return wire.dump({"a": _describe(a), "b": _describe(b), "sequences": sequences})


def _describe(one: Explanation) -> dict[str, Any]:
    return {"id": one.id or None, "created": one.created_at, "model": one.model, "version": one.version}


def _read(asked: Explanation, answer: dict[str, Any], manifest: Manifest) -> Explanation:
    """The answer of another model to the same sequences as an explanation, of no id."""
    answers = answer["predictions"] if asked.texts is not None else None
    predictions = np.array(answer["predictions"] if answers is None else answer["probabilities"], np.float32)
    return msgspec.structs.replace(
        asked,
        id="",
        created=now(),
        model=answer["model"],
        version=answer["version"],
        task=manifest.task,
        classes=manifest.labels,
        predictions=predictions.reshape(len(asked), -1),
        labels=answer.get("labels"),
        attention=_read_weights(answer["attention"], answers is not None),
        answers=answers,
    )


def _read_weights(attention: list[Any] | None, matrices: bool) -> Ragged | None:
    if attention is None:
        return None
    weights = [np.array(one, np.float32) for one in attention]
    return Ragged.of_matrices([one.reshape(len(one), -1) for one in weights]) if matrices else Ragged.of(weights)
