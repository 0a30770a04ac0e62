"""/v2: the Open Inference Protocol, for clients written for Triton, KServe or MLServer."""

from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service import reading, wire
from service.errors import Invalid, Unavailable
from service.explanations.record import Explanation
from service.fast import LARGE_BODY
from service.models.loading import Model
from service.models.repository import Repository
from service.open_inference import metadata
from service.open_inference.answers import Answer
from service.open_inference.requests import read
from service.open_inference.schemas import (
    ExplainResponse,
    IndexEntry,
    IndexRequest,
    InferError,
    InferRequest,
    InferResponse,
    Live,
    LoadRequest,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
)
from service.predictor import Predictor
from service.ragged import Ragged
from service.routes import json_body
from service.routes.attention import describe_sequence
from service.routes.bodies import read_body, unless_gone
from service.routes.health import readyz
from service.schemas.predict import PredictRequest

router = APIRouter(prefix="/v2", tags=["open inference"])
MODEL, VERSION = "/models/{name}", "/models/{name}/versions/{version}"
HEADER_LENGTH = "Inference-Header-Content-Length"
EXPLAINED = 256  # sequences that are described at once, while other requests wait
B = TypeVar("B", bound=BaseModel)
# Of the path, or of the query where the path has none.
Name = Annotated[str, Field(description="of the model")]
Number = Annotated[int | None, Field(description="of the model; default: the pinned, or the newest")]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for /docs."""
    return {status: {"model": InferError} for status in statuses}


def described_binary() -> dict[str, Any]:
    """The body of an inference, for /docs."""
    described_json = json_body(InferRequest)
    binary = {"schema": {"type": "string", "format": "binary"}}
    described_json["requestBody"]["content"]["application/octet-stream"] = binary
    header = {
        "name": HEADER_LENGTH,
        "in": "header",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
        "description": "bytes of the JSON part, where the data of tensors follow it as bytes",
    }
    return {**described_json, "parameters": [header]}


INFER: dict[str, Any] = {
    "responses": errors(400, 404, 413, 415, 422, 429, 503, 504),
    "openapi_extra": described_binary(),
}
REPOSITORY: dict[str, Any] = {
    "responses": errors(400, 404, 422),
    "openapi_extra": json_body(LoadRequest, required=False),
}


class Explained(Answer):
    """The explanation of each sequence as the answer."""

    labelled = True

    def asked(self, request: InferRequest, model: Model, items: Ragged, time: int) -> None:
        """See `Answer.asked`. Raises: Invalid, also for too many sequences."""
        if len(items) > EXPLAINED:
            raise Invalid.at("/inputs", f"at most {EXPLAINED} sequences to explain", str(len(items)))
        super().asked(request, model, items, time)

    def write(
        self, explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None
    ) -> bytes:
        """See `ExplainResponse`, and `wire.write_answer` for the arguments."""
        explanations = [describe_sequence(explanation, index) for index in range(len(explanation))]
        return wire.dump({**self.frame(explanation, id, store_error), "explanations": explanations})


@router.get("", summary="What this server is")
async def describe_server() -> ServerMetadata:
    """Name, version and the extensions of the protocol that it has.

    `schedule_policy`: a request has a priority and a timeout. `explain`: /v2/models/{name}/explain, which the protocol
    has not.
    """
    return metadata.SERVER


@router.get("/health/live", summary="Is the process alive")
async def live() -> Live:
    """Answers as long as the event loop turns."""
    return Live(live=True)


@router.get("/health/ready", summary="Can it predict", responses=errors(503))
async def ready(request: Request) -> Ready:
    """As /readyz."""
    await readyz(request)
    return Ready(ready=True)


@router.get(MODEL, summary="What a model takes and gives", responses=errors(404, 422))
@router.get(VERSION, summary="What a version takes and gives", responses=errors(404, 422))
async def describe_model(request: Request, name: Name, version: Number = None) -> ModelMetadata:
    """Of the version that answers where none is named: the pinned one, or the newest.

    Sequences shorter than the array are padded on the right, and `lengths` says their steps; it may be left out where
    all are full. Of the answer, the attention of padding is 0.
    """
    repository = _repository(request)
    found = repository.find(name, version)
    assert found.manifest is not None  # noqa: S101 (it is served)
    return metadata.describe(repository, found, found.manifest)


@router.get(f"{MODEL}/ready", summary="Is a model in memory", responses=errors(404, 422, 503))
@router.get(f"{VERSION}/ready", summary="Is a version in memory", responses=errors(404, 422, 503))
async def model_ready(request: Request, name: Name, version: Number = None) -> ModelReady:
    """503 where it is not; a request loads it then, and waits for it."""
    found = _repository(request).find(name, version)
    if found.model is None:
        raise Unavailable(f"expected {found.key} in memory, found it {found.state}; it is loaded when it is asked for")
    return ModelReady(name=name, ready=True)


@router.post(f"{MODEL}/infer", summary="Predict from tensors", response_model=InferResponse, **INFER)
@router.post(f"{VERSION}/infer", summary="Predict from tensors", response_model=InferResponse, **INFER)
async def infer(request: Request, name: Name, version: Number = None) -> Response:
    """Sequences in as one padded array, predictions and attention weights out as arrays.

    Tensors may be JSON, or bytes behind it (the binary tensor extension), in both directions. Of a model that reads
    text, `sequences` are texts (BYTES). Nothing is kept unless `parameters` say `"store": true`.
    """
    return await _answer(request, name, version, Answer())


@router.post(f"{MODEL}/explain", summary="Explain predictions", response_model=ExplainResponse, **INFER)
@router.post(f"{VERSION}/explain", summary="Explain predictions", response_model=ExplainResponse, **INFER)
async def explain(request: Request, name: Name, version: Number = None) -> Response:
    """The body of `infer`, answered with each sequence's explanation as under /attention/{id}.

    An extension of this server: the protocol has no explanations. Of 256 sequences at most. It is kept with `"store":
    true` only.
    """
    return await _answer(request, name, version, Explained())


@router.post(
    "/repository/index",
    summary="Every model, and whether it is in memory",
    responses=errors(400, 422),
    openapi_extra=json_body(IndexRequest, required=False),
)
async def index(request: Request) -> list[IndexEntry]:
    """Every version that is served, is being loaded, or cannot be served, with the reason."""
    only_ready = (await _read(request, IndexRequest)).ready
    return [entry for entry in metadata.index(_repository(request)) if entry.state == "READY" or not only_ready]


@router.post("/repository/models/{name}/load", summary="Load a model now", **REPOSITORY)
async def load(request: Request, name: Name) -> IndexEntry:
    """Loads the version that answers where none is named, or that of the parameter `version`, into this process."""
    repository, number = _repository(request), _version(await _read(request, LoadRequest))
    await repository.get(name, number)
    return metadata.entry(repository.find(name, number))


@router.post("/repository/models/{name}/unload", summary="Drop a model from memory", **REPOSITORY)
async def unload(request: Request, name: Name) -> list[IndexEntry]:
    """Drops all its versions, or that of the parameter `version`, from the memory of this process.

    Requests under way are finished; the next one loads it again.
    """
    repository, number = _repository(request), _version(await _read(request, LoadRequest))
    repository.find(name, number)
    dropped = [version for version in repository.served if version.name == name and number in (None, version.number)]
    for version in dropped:
        repository.unload(name, version.number)
    return [metadata.entry(version) for version in dropped]


async def _answer(request: Request, name: str, version: int | None, answer: Answer) -> Response:
    predictor: Predictor = request.app.state.predictor
    predictor.check()
    body, length = await read_body(request), request.headers.get(HEADER_LENGTH)
    reading = partial(read, predictor, request.app.state.settings, name, version, length, body, answer)
    content = await unless_gone(request, predictor.answer(reading, large=len(body) >= LARGE_BODY))
    if answer.header_length is None:
        return Response(content, media_type="application/json")
    headers = {HEADER_LENGTH: str(answer.header_length)}
    return Response(content, media_type="application/octet-stream", headers=headers)


async def _read(request: Request, kind: type[B]) -> B:
    """The body; where there is none, what it would say by default."""
    body = await read_body(request)
    return reading.read_json(body, kind) if body else kind()


def _version(body: LoadRequest) -> int | None:
    """The parameter `version`.

    Raises:
        Invalid: there are parameters that cannot be ignored.
    """
    parameters = dict(body.parameters or {})
    parameters.pop("unload_dependents", None)  # there are none
    version = parameters.pop("version", None)
    if parameters:
        place = f"/parameters/{next(iter(parameters))}"
        raise Invalid.at(place, "no parameter but version, because what is served is what is on disk", "one")
    if version is None:
        return None
    if not str(version).isdecimal() or len(str(version)) > 9:
        raise Invalid.at("/parameters/version", "the number of a version", f"{version!r:.40}")
    return int(str(version))


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository
