"""GET /livez and /readyz, for whoever restarts the server or sends it traffic."""

from fastapi import APIRouter, Request

from service.errors import Unavailable
from service.repository import Repository
from service.routes import problems
from service.schemas import Status

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive")
async def livez() -> Status:
    """Answers as long as the event loop turns."""
    return Status(status="ok")


@router.get("/readyz", summary="Can it predict", responses=problems(503))
async def readyz(request: Request) -> Status:
    """503 while there is no model to serve."""
    repository: Repository = request.app.state.repository
    if not repository.models:
        broken = ", ".join(broken.folder for broken in repository.broken) or "none"
        raise Unavailable(f"expected a model to serve, found none (broken folders: {broken})")
    return Status(status="ok")
