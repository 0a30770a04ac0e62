"""The app: its parts put together, its routes, and how its errors are answered."""

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

from service import wire
from service.docs import add_examples
from service.errors import Fault, HttpError, Invalid, Problem
from service.explanations.sqlite import SQLiteStore
from service.explanations.store import Store
from service.predictor import Predictor
from service.repository import Repository
from service.routes import attention, health, models, predict
from service.runtime import available_cpus, check_provider
from service.settings import Settings

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """Loads every model, opens the store, and puts the app together.

    Raises:
        StartupError: the models, the store or the provider are not as the settings say.
    """
    check_provider(settings.provider)
    threads = settings.threads or available_cpus()
    repository = Repository(settings.models, settings.provider, threads, settings.default_model)
    store = open_store(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        if store is not None:
            await store.close()

    app = FastAPI(
        title="attention-lstm",
        summary="Predictions of attention-LSTMs, with the reason in the same answer.",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,  # Swagger UI is served from a package, not from a CDN: see patch_fastapi below
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings = settings
    app.state.repository = repository
    app.state.store = store
    app.state.predictor = Predictor(repository, store, settings)
    for routes in (predict, attention, models, health):
        app.include_router(routes.router)
    patch_fastapi(app)
    add_examples(app, repository)
    _handle_errors(app)
    return app


def open_store(settings: Settings) -> Store | None:
    """The store the settings name; None for `none`."""
    kind, _, path = settings.store.partition(":")
    if kind == "none":
        return None
    return SQLiteStore(Path(path), settings.store_count, settings.store_days * 24 * 3600)


def _handle_errors(app: FastAPI) -> None:
    """Every error leaves as application/problem+json; see errors.py."""

    @app.exception_handler(HttpError)
    async def known(request: Request, error: HttpError) -> Response:
        return _problem(error.status, error.problem())

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(request: Request, error: RequestValidationError) -> Response:
        faults = [
            Fault(
                pointer=f"the {detail['loc'][0]} parameter {detail['loc'][-1]}",
                expected=detail["msg"].removeprefix("Input should be "),
                received=wire.describe(detail["input"]),
            )
            for detail in error.errors()
        ]
        return await known(request, Invalid(faults))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}; /docs lists what there is"
        title = str(error.detail)
        answer = _problem(error.status_code, Problem(title=title, status=error.status_code, detail=detail).model_dump())
        answer.headers.update(error.headers or {})  # a 405 says what is allowed
        return answer

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody will read it; nginx's number for a client that hung up

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        # Starlette raises the error again after this answer, and the server logs it with its trace.
        detail = "the server failed; its log says how"
        return _problem(500, Problem(title="Internal Server Error", status=500, detail=detail).model_dump())


def _problem(status: int, content: dict[str, Any]) -> Response:
    return Response(wire.dump(content), status, media_type="application/problem+json")
