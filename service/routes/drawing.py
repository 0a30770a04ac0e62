"""POST /attention/draw.{svg|png|html|vl.json}: a picture of an answer that is not kept."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from service import VERSION, reading
from service.npy.requests import JSON
from service.pictures.given import read_explanation, read_left_out
from service.pictures.orders import Attention, Occlusion, Subject
from service.routes import problems
from service.routes.bodies import read_body
from service.routes.caching import etag
from service.routes.formats import TYPES, RendererDep, Suffix, ThemeName, draw
from service.schemas.drawing import DrawRequest

router = APIRouter(tags=["pictures"])
Method = Annotated[
    Literal["attention", "occlusion"],
    Query(
        description="what a picture shows: the weights, and beneath them the importance where it is given (but not of "
        "text); or the importance alone"
    ),
]
EXAMPLE = {
    "model": "pump",
    "version": 1,
    "features": ["pressure", "flow"],
    "sequence": [[2.1, 0.4], [2.0, 0.5], [3.7, 0.1], [2.2, 0.4]],
    "attention": [0.05, 0.1, 0.8, 0.05],
    "prediction": 0.93,
    "label": "leak",
}


@router.post(
    "/attention/draw.{format:picture}",
    summary="An answer as a picture, without a store",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in TYPES.values()}}, **problems(400, 413, 415, 422, 429, 503, 504)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": DrawRequest.model_json_schema(), "example": EXAMPLE}},
        },
    },
)
async def draw_answer(
    request: Request, format: Suffix, renderer: RendererDep, method: Method = "attention", theme: ThemeName = "light"
) -> Response:
    """A sequence or a text, drawn as under `/attention/{id}.svg` from what was answered: for servers that keep nothing,
    and for sequences that somebody tries out. Nothing is predicted, and nothing is kept.
    """
    body = await read_body(request)
    steps = request.app.state.settings.max_steps
    subject = await asyncio.to_thread(lambda: _read(reading.read_json(body, DrawRequest), method, steps))
    name = etag(VERSION.encode(), theme.encode(), method.encode(), body)
    return await draw(renderer, name, subject, format, theme, {})


def _read(given: DrawRequest, method: str, max_steps: int) -> Subject:
    explanation = read_explanation(given, max_steps)
    if method == "occlusion":
        return Occlusion(explanation, read_left_out(given, explanation))
    if given.importance is not None:
        return Attention(explanation, read_left_out(given, explanation))
    return Attention(explanation)
