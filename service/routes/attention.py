"""GET /attention/{id}, as JSON, as a picture and as the page; and DELETE /attention/{id}."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from service import reading, wire
from service.errors import Invalid, NotFound
from service.explanations.measures import concentration
from service.explanations.record import Explanation, steps
from service.pictures.orders import MOST
from service.routes import export, problems
from service.routes.caching import NOT_MODIFIED, json_of
from service.routes.examining import ExaminerDep, Held
from service.routes.finding import NO_INPUTS, Id, StoreDep, ask_store, check_sequence, find, not_found
from service.routes.formats import TYPES, Format, Known, RendererDep, ThemeName
from service.routes.negotiation import preferred
from service.routes.occlusion import occlude
from service.routes.pictures import Method, Which, draw_explanation
from service.routes.web import page
from service.schemas.attention import ExplanationResponse, OcclusionResponse

router = APIRouter(tags=["attention"])
TOP_STEPS = 3
AT_ONCE = 64  # sequences that are described on the event loop; of more, predictions would wait
SEQUENCE = Query(
    description="which sequence of the request method=occlusion, the page or a picture is about (a picture also of "
    f"all, {MOST} at most, above each other); the weights as JSON are of all"
)
METHOD = Query(description="the weights, or what leaving out each step of a sequence alone changes")


@router.get("/attention/{name}.{suffix}", include_in_schema=False)
async def no_such_format(name: str, suffix: str) -> None:
    """Says which formats there are, where a path ends with none of them."""
    formats = ", ".join(export.TYPES if name == "export" else TYPES)
    raise NotFound(f"expected a format out of {formats}, received {reading.describe(suffix)}")


@router.get(
    "/attention/{id}",
    summary="One explanation",
    response_model=ExplanationResponse | OcclusionResponse,
    responses={
        200: {"content": {"text/html": {}, TYPES["svg"]: {}, TYPES["png"]: {}}},
        **NOT_MODIFIED,
        **problems(404, 422, 429, 503, 504),
    },
)
async def get_explanation(
    request: Request,
    id: Id,
    store: StoreDep,
    examiner: ExaminerDep,
    renderer: RendererDep,
    sequence: Annotated[Which, SEQUENCE] = 0,
    method: Annotated[Method, METHOD] = "attention",
    baseline: Held = None,
    theme: ThemeName = "light",
    known: Known = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """The sequences received, what was predicted, the weights, and the steps that weigh most with their values. With
    `method=occlusion`, of one sequence, what leaving out each step alone changes: by running the model again, which
    needs no attention, behind all predictions that wait.

    With `Accept: image/svg+xml` or `image/png`, a picture as under `/attention/{id}.svg`; with `Accept: text/html`,
    as browsers send it, the explorer page opened on it.
    """
    wanted = preferred(accept, ("application/json", "text/html", TYPES["svg"], TYPES["png"]))
    if wanted == "text/html":
        return page(request)
    if baseline is not None and method != "occlusion":
        raise Invalid.at("the query parameter baseline", "none, but with method=occlusion", f'"{baseline}"')
    if wanted != "application/json":
        format: Format = "svg" if wanted == TYPES["svg"] else "png"
        return await draw_explanation(id, format, store, examiner, renderer, sequence, method, theme, known, baseline)
    if method == "occlusion":
        return json_of(await occlude(store, examiner, id, sequence, baseline), known, vary="Accept")
    explanation = await find(store, id)
    if sequence != "all":
        check_sequence(explanation, sequence)
    if len(explanation) > AT_ONCE:
        return await asyncio.to_thread(_answer, explanation, known)
    return _answer(explanation, known)


@router.delete("/attention/{id}", summary="Delete an explanation", status_code=204, responses=problems(404, 422, 503))
async def delete_explanation(id: Id, store: StoreDep) -> None:
    """Forgets the sequences, the predictions and the weights."""
    if not await ask_store(store.delete(id)):
        raise not_found(id)


def _answer(explanation: Explanation, known: str | None) -> Response:
    return json_of(wire.dump(_describe(explanation)), known, vary="Accept")


def _describe(explanation: Explanation) -> dict[str, Any]:
    """See `ExplanationResponse`."""
    axes: tuple[str, ...] | None = None
    if explanation.attention is not None:
        axes = ("time", "feature")[: explanation.attention.values.ndim]
        axes = axes if explanation.answers is None else ("out_time", "in_time")
    answer = {
        "id": explanation.id,
        "created": explanation.created_at,
        "model": explanation.model,
        "version": explanation.version,
        "task": explanation.task,
        "features": explanation.features,
        "classes": explanation.classes,
        "attention_axes": axes,
        "sequences": [describe_sequence(explanation, index) for index in range(len(explanation))],
    }
    if not explanation.has_inputs:
        answer["note"] = f"sequence, unknown and the values of top are null where inputs are not kept; {NO_INPUTS}"
    return answer


def describe_sequence(explanation: Explanation, index: int) -> dict[str, Any]:
    """See `SequenceExplanation`."""
    if explanation.answers is not None:
        return _describe_text(explanation, explanation.answers, index)
    answer = {
        "sequence": explanation.sequences and explanation.sequences[index],
        "hash": explanation.hash(index),
        "prediction": wire.squeeze(explanation.predictions)[index],
        "label": explanation.labels[index] if explanation.labels else None,
    }
    if explanation.attention is None:
        return {**answer, "attention": None, "top": [], "concentration": None}
    attention = explanation.attention[index]
    weights = steps(attention)
    answer["attention"] = weights
    if attention.ndim == 2:
        answer["attention_per_feature"] = attention
    answer["top"] = wire.top(explanation, index, TOP_STEPS)
    answer["concentration"] = concentration(weights)
    return answer


def _describe_text(explanation: Explanation, answers: list[str], index: int) -> dict[str, Any]:
    """See `SequenceExplanation`."""
    attention = explanation.attention[index] if explanation.attention is not None else []
    found = [concentration(weights) for weights in attention]
    known = [one for one in found if one is not None]
    return {
        "sequence": explanation.texts and explanation.texts[index],
        "hash": explanation.hash(index),
        "prediction": answers[index],
        "probability": explanation.predictions[index, 0],
        "unknown": wire.unknown(explanation, index) if explanation.has_inputs else None,
        "label": None,
        "attention": attention,
        "top": wire.top(explanation, index, TOP_STEPS),
        "concentration": sum(known) / len(known) if known else None,
    }
