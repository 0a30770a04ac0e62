"""GET /models; which version answers, and which are in memory."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from service import reading
from service.errors import PinsError, Unavailable
from service.manifest import Manifest
from service.models.repository import Repository
from service.models.versions import Version
from service.routes import json_body, problems
from service.routes.bodies import read_body
from service.schemas.models import BrokenInfo, DefaultInfo, ModelInfo, ModelList, PinInfo, PinRequest, StateInfo

router = APIRouter(tags=["models"])
Name = Annotated[str, Path(description="of the model")]
Number = Annotated[int, Path(description="of the model")]


@router.get("/models", summary="Every model, and every folder that cannot be served", responses=problems(422))
async def list_models(request: Request) -> ModelList:
    """What each model takes, gives and was made from; and the folders that cannot be served, with the reason."""
    repository = _repository(request)
    bound = repository.max_memory
    return ModelList(
        models=[_info(repository, version, version.manifest) for version in repository.served if version.manifest],
        coming=[version.key for version in repository.coming],
        broken=[BrokenInfo(folder=version.key, reason=version.fault or "") for version in repository.broken],
        pins=[PinInfo(model=pin.name, version=pin.version, fault=pin.fault) for pin in repository.pins],
        memory_mb=_mb(repository.memory),
        max_memory_mb=None if bound is None else _mb(bound),
    )


@router.put(
    "/models/{name}/pin",
    summary="Roll back, or forth, to a version",
    responses=problems(400, 404, 413, 415, 422, 503),
    openapi_extra=json_body(PinRequest, example={"version": 1}),
)
async def pin(request: Request, name: Name) -> DefaultInfo:
    """Has a version answer the requests that name this model and no version, whatever is published.

    The pin survives a restart. Where several processes serve, the others follow at their next look for models.
    """
    repository, wanted = _repository(request), reading.read_json(await read_body(request), PinRequest)
    try:
        await repository.pin(name, wanted.version)
    except PinsError as error:
        raise Unavailable(str(error)) from error
    return _default(repository, name)


@router.delete("/models/{name}/pin", summary="Back to the newest version", responses=problems(404, 422, 503))
async def unpin(request: Request, name: Name) -> DefaultInfo:
    """Has the newest version answer the requests that name this model and no version."""
    repository = _repository(request)
    try:
        await repository.unpin(name)
    except PinsError as error:
        raise Unavailable(str(error)) from error
    return _default(repository, name)


@router.post("/models/{name}/versions/{version}/load", summary="Load a model now", responses=problems(404, 422))
async def load(request: Request, name: Name, version: Number) -> StateInfo:
    """Loads a model into this process, before it is asked for."""
    repository = _repository(request)
    await repository.get(name, version)
    return _state(repository, name, version)


@router.post(
    "/models/{name}/versions/{version}/unload", summary="Drop a model from memory", responses=problems(404, 422)
)
async def unload(request: Request, name: Name, version: Number) -> StateInfo:
    """Drops a model from the memory of this process. Requests under way are finished; the next one loads it again."""
    repository = _repository(request)
    repository.unload(name, version)
    return _state(repository, name, version)


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


def _info(repository: Repository, version: Version, manifest: Manifest) -> ModelInfo:
    runtime = version.model.runtime if version.model else None
    return ModelInfo(
        manifest=manifest,
        expects=manifest.sequences_shape,
        state=version.state,
        default=repository.is_default(version),
        memory_mb=_mb(version.memory),
        provider=runtime.provider if runtime else None,
        runtime=runtime.options if runtime else None,
        fault=version.fault,
    )


def _state(repository: Repository, name: str, version: int) -> StateInfo:
    state = repository.find(name, version).state
    return StateInfo(model=name, version=version, state=state, memory_mb=_mb(repository.memory))


def _default(repository: Repository, name: str) -> DefaultInfo:
    answers = next((v.number for v in repository.served if v.name == name and repository.is_default(v)), None)
    return DefaultInfo(model=name, version=answers, pinned=any(pin.name == name for pin in repository.pins))


def _mb(size: int) -> float:
    return round(size / 1e6, 1)
