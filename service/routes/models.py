"""GET /models."""

from fastapi import APIRouter, Request

from service.repository import Repository
from service.schemas import BrokenInfo, ModelInfo, ModelList

router = APIRouter(tags=["models"])


@router.get("/models", summary="Every model, and every folder that cannot be served")
async def list_models(request: Request) -> ModelList:
    """What each model takes, gives and was made from; and the folders that cannot be served, with the reason."""
    repository: Repository = request.app.state.repository
    return ModelList(
        models=[
            ModelInfo(manifest=model.manifest, provider=model.runtime.provider, expects=model.manifest.sequences_shape)
            for model in repository.models
        ],
        broken=[BrokenInfo(folder=broken.folder, reason=broken.reason) for broken in repository.broken],
    )
