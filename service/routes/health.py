"""GET and HEAD /livez and /readyz, for whoever restarts the server or sends it traffic."""

from fastapi import APIRouter, Request

from service.errors import Draining, Unavailable
from service.repository import Repository
from service.routes import problems
from service.schemas import Status

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Is the process alive")
async def livez() -> Status:
    """Answers as long as the event loop turns."""
    return Status(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Can it predict", responses=problems(503))
async def readyz(request: Request) -> Status:
    """503 while there is no model to serve, and from when the server is told to stop."""
    if request.app.state.draining:
        raise Draining("the server is about to stop: it finishes the requests it has")
    repository: Repository = request.app.state.repository
    if not repository.names:
        broken = ", ".join(version.key for version in repository.broken) or "none"
        raise Unavailable(f"expected a model to serve, found none (broken folders: {broken})")
    return Status(status="ok")
