"""POST /predict."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service.errors import UnsupportedMediaType
from service.predictor import Predictor
from service.routes import problems
from service.routes.bodies import read_body, unless_gone
from service.schemas import PredictRequest, PredictResponse

router = APIRouter(tags=["predict"])


def get_predictor(request: Request) -> Predictor:
    """The app's predictor."""
    predictor: Predictor = request.app.state.predictor
    return predictor


@router.post(
    "/predict",
    summary="Predict, with the attention weight of every step",
    response_model=PredictResponse,
    response_model_exclude_none=False,
    responses=problems(400, 404, 413, 415, 422, 429, 503, 504),
    # The body is read by hand, so that wire.py can say exactly what is wrong with it; here it is documented.
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": PredictRequest.model_json_schema()}},
        }
    },
)
async def predict(request: Request, predictor: Annotated[Predictor, Depends(get_predictor)]) -> Response:
    """Sequences in, and for each one a prediction and one attention weight per time step, summing to 1.

    Sequences are raw values: scaling is part of the model. Where the model takes different lengths, so may one
    request. The explanation is kept under `/attention/{id}`. A model without attention answers `"attention": null`:
    weights it does not have are not made up.
    """
    _check_media_type(request)
    predictor.check()
    body = await read_body(request)
    return Response(await unless_gone(request, predictor.predict(body)), media_type="application/json")


def _check_media_type(request: Request) -> None:
    received = request.headers.get("content-type", "application/json")  # a missing one is forgiven
    media_type = received.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"expected Content-Type: application/json, received {received}")
