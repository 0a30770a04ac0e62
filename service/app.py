"""The app: its parts put together, its routes, and how its errors are answered."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_swagger import patch_fastapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from service import VERSION, reading, wire
from service.errors import Fault, HttpError, Invalid, Problem, StartupError
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Store
from service.manifest import RuntimeOptions
from service.models.memory import keep_trimming
from service.models.repository import Repository
from service.models.runtime import check_provider
from service.models.watcher import watch
from service.openapi import add_examples
from service.pictures.renderer import Renderer
from service.predictor import Predictor
from service.routes import (
    attention,
    compare,
    drawing,
    export,
    faithfulness,
    health,
    listing,
    metrics,
    models,
    open_inference,
    overviews,
    pictures,
    predict,
    summary,
    web,
)
from service.settings import Settings
from service.telemetry.collect import Telemetry
from service.telemetry.requests import Observed, current
from service.telemetry.shared import Shared

logger = logging.getLogger(__name__)


class Service(FastAPI):
    """FastAPI with a request's id and count around it all, so that the answer to a failure has them, too."""

    def build_middleware_stack(self) -> ASGIApp:
        """See Starlette."""
        return Observed(super().build_middleware_stack(), self.state.telemetry, self.state.settings.access_log)


def create_app(settings: Settings, shared: Shared | None = None) -> FastAPI:
    """Opens the models (and loads them, unless they are lazy) and the store, and puts the app together.

    Args:
        shared: the numbers, where several workers have them together.

    Raises:
        StartupError: the models, the store or the provider are not as the settings say.
    """
    check_provider(settings.provider)
    shared = shared or Shared(Telemetry())
    repository = open_repository(settings, shared.telemetry)
    refused = "1 for each folder of a model that cannot be served; GET /models says why."
    shared.telemetry.gauge(
        "model_refused",
        refused,
        lambda: {(version.name, str(version.number)): 1.0 for version in repository.broken},
        labels=("model", "version"),
    )
    store = open_store(settings)
    if store is not None:
        up = "1 while the store of explanations answers, 0 while it does not."
        shared.telemetry.gauge("store_up", up, lambda: {(): float(store.trouble is None)})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(shared.keep_leaving()),
            asyncio.create_task(watch(repository, settings.watch)),
            asyncio.create_task(keep_trimming()),
        ]
        if store is not None:
            await store.open()
        yield
        for task in tasks:
            task.cancel()
        app.state.predictor.batcher.close()
        await app.state.renderer.close()
        if store is not None:
            await store.close()
        await shared.leave()

    app = Service(
        title="attention-lstm",
        summary="Predictions of attention-LSTMs, with the reason in the same answer.",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # Swagger UI is served from a package, not from a CDN: see patch_fastapi below
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings = settings
    app.state.shared = shared
    app.state.telemetry = shared.telemetry
    app.state.draining = False
    app.state.repository = repository
    app.state.store = store
    app.state.renderer = Renderer()
    app.state.predictor = Predictor(repository, store, settings, shared.telemetry)
    # /attention/{id} after what is no id.
    kept = (overviews, drawing, pictures, listing, summary, compare, export, attention, faithfulness)
    for routes in (predict, *kept, models, open_inference, health, metrics, web):
        app.include_router(routes.router)
    patch_fastapi(app, redirect_from_root_to_docs=False)
    add_examples(app, repository)
    _handle_errors(app)
    return app


def open_repository(settings: Settings, telemetry: Telemetry) -> Repository:
    """The models that the settings name.

    Raises:
        StartupError: see `Repository`.
    """
    return Repository(
        settings.models,
        settings.provider,
        RuntimeOptions(threads=settings.threads),
        default=settings.default_model,
        lazy=settings.load == "lazy",
        max_memory=None if settings.max_model_memory is None else settings.max_model_memory * 1_000_000,
        pins=settings.pins,
        expect=telemetry.expect,
        forget=telemetry.forget,
    )


def open_store(settings: Settings) -> Store | None:
    """The store the settings name; None for `none`.

    Raises:
        StartupError: it cannot be opened, or its package is not installed.
    """
    kind, _, path = settings.store.partition(":")
    bounds = (settings.store_count, settings.store_days * 24 * 3600)
    if kind == "none":
        return None
    if kind == "sqlite":
        return SQLiteStore(Path(path), *bounds)
    try:
        from service.explanations.stores.valkey import ValkeyStore  # an extra, and slow to import
    except ImportError as error:
        raise StartupError(f"expected the package valkey for --store {settings.store}, received: {error}") from error
    return ValkeyStore(settings.store, *bounds)


def _handle_errors(app: FastAPI) -> None:
    """Every error leaves as application/problem+json, see errors.py; of the Open Inference Protocol in its form."""
    telemetry: Telemetry = app.state.telemetry

    @app.exception_handler(HttpError)
    async def known(request: Request, error: HttpError) -> Response:
        telemetry.error(type(error).__name__, error.status)
        answer = _problem(request, error.status, error.problem(_id()))
        answer.headers.update(error.headers)
        return answer

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(request: Request, error: RequestValidationError) -> Response:
        faults = [
            Fault(
                pointer=f"the {detail['loc'][0]} parameter {detail['loc'][-1]}",
                expected=detail["msg"].removeprefix("Input should be "),
                received=reading.describe(detail["input"]),
            )
            for detail in error.errors()
        ]
        return await known(request, Invalid(faults))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        telemetry.error(type(error).__name__, error.status_code)
        detail = f"{request.method} {request.url.path}: {error.detail}; /docs lists what there is"
        problem = Problem(title=str(error.detail), status=error.status_code, detail=detail, request_id=_id())
        answer = _problem(request, error.status_code, problem.model_dump())
        answer.headers.update(error.headers or {})  # a 405 says what is allowed
        return answer

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        telemetry.error(type(error).__name__, 499)
        return Response(status_code=499)  # nobody will read it; nginx's number for a client that hung up

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        # Starlette raises the error again after this answer, and the server logs it with its trace.
        telemetry.error(type(error).__name__, 500)
        detail = "the server failed; its log says how"
        problem = Problem(title="Internal Server Error", status=500, detail=detail, request_id=_id())
        return _problem(request, 500, problem.model_dump())


def _problem(request: Request, status: int, content: dict[str, Any]) -> Response:
    if request.url.path.startswith("/v2/"):
        return Response(wire.dump({"error": content["detail"]}), status, media_type="application/json")
    return Response(wire.dump(content), status, media_type="application/problem+json")


def _id() -> str:
    """Of the request at hand."""
    id, _ = current.get()
    return id
