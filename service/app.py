"""The app: its parts put together, and its routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi_swagger import patch_fastapi
from starlette.types import ASGIApp

from service import VERSION
from service.errors import StartupError
from service.explanations.stores.sqlite import SQLiteStore
from service.explanations.stores.store import Store
from service.manifest import RuntimeOptions
from service.methods import HeadAsGet
from service.models.memory import keep_trimming
from service.models.repository import Repository
from service.models.runtime import check_provider
from service.models.watcher import watch
from service.openapi import add_examples
from service.pictures.renderer import Renderer
from service.predictor import Predictor
from service.problems import answer_errors
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
from service.routes.parameters import refuse_unknown
from service.settings import Settings
from service.telemetry.collect import Telemetry
from service.telemetry.requests import Observed
from service.telemetry.shared import Shared


class Service(FastAPI):
    """FastAPI with a request's id and count around it all, so that the answer to a failure has them, too."""

    def build_middleware_stack(self) -> ASGIApp:
        """See Starlette."""
        app = HeadAsGet(super().build_middleware_stack())
        return Observed(app, self.state.telemetry, self.state.settings.access_log)


def create_app(settings: Settings, shared: Shared | None = None) -> FastAPI:
    """Opens the models (and loads them, unless they are lazy) and the store, and puts the app together.

    Args:
        shared: the numbers, where several workers have them together.

    Raises:
        StartupError: the models, the store or the provider are not as the settings say.
    """
    check_provider(settings.provider)
    shared = shared or Shared(Telemetry())
    app = Service(
        title="attention-lstm",
        summary="Predictions of attention-LSTMs, with the reason in the same answer.",
        version=VERSION,
        lifespan=_run,
        docs_url=None,  # Swagger UI is served from a package, not from a CDN: see patch_fastapi below
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings, app.state.shared, app.state.telemetry = settings, shared, shared.telemetry
    _add_parts(app, settings, shared.telemetry)
    _add_routes(app)
    answer_errors(app)
    return app


def _add_parts(app: FastAPI, settings: Settings, telemetry: Telemetry) -> None:
    """What the routes ask for in the app's state."""
    state = app.state
    state.draining = False
    state.repository = open_repository(settings, telemetry)
    state.store = open_store(settings)
    state.renderer = Renderer()
    state.predictor = Predictor(state.repository, state.store, settings, telemetry)
    _count(telemetry, state.repository, state.store)


def _count(telemetry: Telemetry, repository: Repository, store: Store | None) -> None:
    """Gauges of what changes without a request."""
    refused = "1 for each folder of a model that cannot be served; GET /models says why."
    telemetry.gauge(
        "model_refused",
        refused,
        lambda: {(version.name, str(version.number)): 1.0 for version in repository.broken},
        labels=("model", "version"),
    )
    if store is not None:
        up = "1 while the store of explanations answers, 0 while it does not."
        telemetry.gauge("store_up", up, lambda: {(): float(store.trouble is None)})


def _add_routes(app: FastAPI) -> None:
    """The routes and their documentation."""
    # /attention/{id} after what is no id.
    kept = (overviews, drawing, pictures, listing, summary, compare, export, attention, faithfulness)
    app.include_router(predict.router)
    for routes in (*kept, models):
        app.include_router(routes.router, dependencies=[Depends(refuse_unknown)])
    for others in (open_inference, health, metrics, web):
        app.include_router(others.router)
    patch_fastapi(app, redirect_from_root_to_docs=False)
    add_examples(app, app.state.repository)


@asynccontextmanager
async def _run(app: FastAPI) -> AsyncIterator[None]:
    """What goes on beside the requests, from the start to the stop."""
    state = app.state
    store: Store | None = state.store
    tasks = [
        asyncio.create_task(state.shared.keep_leaving()),
        asyncio.create_task(watch(state.repository, state.settings.watch)),
        asyncio.create_task(keep_trimming()),
    ]
    if store is not None:
        await store.open()
    yield
    for task in tasks:
        task.cancel()
    state.predictor.batcher.close()
    await state.renderer.close()
    if store is not None:
        await store.close()
    await state.shared.leave()


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
