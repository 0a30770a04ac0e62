"""GET /livez and /readyz, for whoever restarts the server or sends it traffic."""

from fastapi import APIRouter, Request

from service.errors import Draining, StoreFailed, Unavailable
from service.explanations.stores.store import Store
from service.models.repository import Repository
from service.routes import problems
from service.schemas.health import Status

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive", response_model_exclude_none=True)
async def livez() -> Status:
    """Answers as long as the event loop turns."""
    return Status(status="ok")


@router.get("/readyz", summary="Can it predict", response_model_exclude_none=True, responses=problems(503))
async def readyz(request: Request) -> Status:
    """503 while there is no model to serve, and from when the server is told to stop.

    Not while explanations cannot be kept: predictions go on, and all replicas have the same store, so that taking them
    out of service would leave none. A note says so then, and where a model is pinned to a version that is not served.
    """
    if request.app.state.draining:
        raise Draining("the server is about to stop: it finishes the requests it has")
    repository: Repository = request.app.state.repository
    if not repository.names:
        broken = ", ".join(version.key for version in repository.broken) or "none"
        raise Unavailable(f"expected a model to serve, found none (broken folders: {broken})")
    notes = [f"the pin of {pin.name}: {pin.fault}" for pin in repository.pins if pin.fault is not None]
    store: Store | None = request.app.state.store
    if store is not None and store.trouble is not None:
        notes.append(f"explanations are not kept: {StoreFailed.told}")
    return Status(status="ok", note="; ".join(notes) or None)
