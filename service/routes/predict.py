"""POST /predict."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from service import reading
from service.errors import UnsupportedMediaType
from service.fast import LARGE_BODY
from service.ndjson import LineResponse
from service.npy.requests import JSON, NPY, NPZ, answer_as, wanted
from service.npy.requests import read as read_arrays
from service.predictor import Prediction, Predictor
from service.routes import problems
from service.routes.bodies import read_body, unless_gone
from service.routes.parameters import refuse_all
from service.routes.streams import NDJSON, stream
from service.schemas.predict import PredictRequest, PredictResponse

router = APIRouter(tags=["predict"])
LINES = {"schema": LineResponse.model_json_schema(ref_template="#/components/schemas/{model}")}
LINES["schema"].pop("$defs")
TEXT = {"schema": {"type": "string"}, "example": '[[0.1, 0.2], ...]\n{"id": 7, "sequence": [[0.3, 0.4], ...]}\n'}
BYTES = {"schema": {"type": "string", "format": "binary"}}


def get_predictor(request: Request) -> Predictor:
    """The app's predictor."""
    predictor: Predictor = request.app.state.predictor
    return predictor


def _query() -> list[dict[str, Any]]:
    """The fields of a request, as parameters of the query, for /docs; which would send those that have a default."""
    properties = PredictRequest.model_json_schema()["properties"]
    note = " (where the body is no JSON)"
    del properties["sequences"]
    for schema in properties.values():
        schema.pop("default", None)
    return [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": schema["description"] + note}
        for name, schema in properties.items()
    ]


@router.post(
    "/predict",
    summary="Predict, with the attention weight of every step",
    response_model=PredictResponse,
    response_model_exclude_none=False,
    responses={
        200: {"content": {NPZ: BYTES, NPY: BYTES, NDJSON: LINES}},
        **problems(400, 404, 413, 415, 422, 429, 503, 504),
    },
    # The body is read by hand, so that reading.py can say exactly what is wrong with it; here it is documented.
    openapi_extra={
        "parameters": _query(),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": PredictRequest.model_json_schema()}, NPY: BYTES, NPZ: BYTES, NDJSON: TEXT},
        },
    },
)
async def predict(
    request: Request,
    predictor: Annotated[Predictor, Depends(get_predictor)],
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Sequences in, and for each one a prediction and one attention weight per time step, summing to 1.

    Sequences are raw values: scaling is part of the model. Where the model takes different lengths, so may one
    request. The explanation is kept under `/attention/{id}`. A model without attention answers `"attention": null`:
    weights it does not have are not made up.

    NumPy's files do, too: as `application/x-npy` one array `(batch, time, feature)`, or `(batch, time)` where there is
    one feature; as `application/x-npz` that array as `sequences` and, where they differ, their steps as `lengths`. All
    else is in the query then. With one of these as `Accept` the answer is `prediction`, `attention` (0 on padding),
    `lengths` and `id` as `.npz`, or `prediction` alone as `.npy`.

    So do streams of any length: as `application/x-ndjson` a sequence a line, or an object with `sequence` and `id`, and
    all else in the query. Each line is answered in a line, in order, while others still come; what is wrong with one
    is answered there. They run when nothing else waits, and nothing is kept. Read while you write: what is not read
    stops the reading of what you write.
    """
    media_type, answer_type = _media_type(request), wanted(accept)
    if media_type == NDJSON:
        return await stream(request, predictor)
    predictor.check()
    body = await read_body(request)
    read: Callable[[], Prediction]
    if media_type == JSON:
        refuse_all(request, "beside a JSON body, which holds all fields")
        read = partial(_read_json, predictor, body, answer_type)
    else:
        fields, settings = reading.read_query(request.query_params), request.app.state.settings
        read = partial(read_arrays, predictor, settings, fields, body, media_type, answer_type)
    answer = await unless_gone(request, predictor.answer(read, large=len(body) >= LARGE_BODY))
    return Response(answer, media_type=answer_type)


def _read_json(predictor: Predictor, body: bytes, answer_type: str) -> Prediction:
    return answer_as(answer_type, predictor.read(body))


def _media_type(request: Request) -> str:
    """`JSON`, `NPY`, `NPZ` or `NDJSON`."""
    received = request.headers.get("content-type", JSON)  # a missing one is forgiven
    media_type = received.partition(";")[0].strip().lower()
    if media_type.endswith("+json"):
        return JSON
    if media_type not in (JSON, NPY, NPZ, NDJSON):
        raise UnsupportedMediaType(f"expected Content-Type: {JSON}, {NPY}, {NPZ} or {NDJSON}, received {received}")
    return media_type
