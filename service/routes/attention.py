"""GET /attention, /attention/{id} as JSON and as a picture, DELETE /attention/{id}."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response

from service import wire
from service.explanations import charts
from service.explanations.measures import concentration
from service.explanations.record import Explanation, steps
from service.explanations.store import Filter
from service.routes import problems
from service.routes.examining import ExaminerDep, ask
from service.routes.finding import NO_INPUTS, Id, Sequence, StoreDep, ask_store, find, find_sequence, not_found
from service.routes.web import page
from service.schemas import ExplanationEntry, ExplanationList, ExplanationResponse

router = APIRouter(tags=["attention"])
TOP_STEPS = 3


class SVGResponse(Response):
    """A picture."""

    media_type = "image/svg+xml"


Method = Annotated[
    Literal["attention", "occlusion"],
    Query(description="what a picture shows: the weights, or what leaving out each step changes"),
]


@router.get(
    "/attention",
    summary="The latest explanations",
    response_model=ExplanationList,
    responses=problems(404, 422, 503),
)
async def list_explanations(
    store: StoreDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="explanations on a page")] = 20,
    cursor: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
    model: Annotated[str | None, Query(description="only of this model")] = None,
    version: Annotated[int | None, Query(ge=1, description="only of this version", le=2**31)] = None,
    label: Annotated[str | None, Query(description="only where some sequence was given this label")] = None,
    since: Annotated[
        datetime | None, Query(description="only made at or after this time (UTC if it does not say)")
    ] = None,
) -> Any:
    """Explanations of past predictions, newest first."""
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    filter = Filter(model=model, version=version, label=label, since=since, before=str(cursor) if cursor else None)
    entries = await ask_store(store.latest(filter, limit + 1))  # one more, to know whether there is a next page
    page = [
        ExplanationEntry(
            id=entry.id,
            created=datetime.fromtimestamp(entry.created, UTC),
            model=entry.model,
            version=entry.version,
            sequences=entry.sequences,
            labels=list(entry.labels),
            url=f"/attention/{entry.id}",
        )
        for entry in entries[:limit]
    ]
    return ExplanationList(explanations=page, next=page[-1].id if len(entries) > limit else None)


@router.get(
    "/attention/{id}.svg",
    summary="One explanation as a picture",
    response_class=SVGResponse,
    responses=problems(404, 422, 429, 503, 504),
)
async def draw_explanation(
    id: Id, store: StoreDep, examiner: ExaminerDep, sequence: Sequence = 0, method: Method = "attention"
) -> Response:
    """One sequence drawn over time: its values, the weights as a heat band and as bars, the top steps marked.

    With `method=occlusion`, what leaving out each step changes instead of the weights.
    """
    explanation = await find_sequence(store, id, sequence)
    if method == "occlusion":
        occluded = await ask(examiner.occlude(explanation, sequence, None))
        chart = charts.occlusion_chart(explanation, sequence, occluded.importance)
    else:
        chart = charts.explanation_chart(explanation, sequence)
    return SVGResponse(await anyio.to_thread.run_sync(charts.svg, chart))


@router.get(
    "/attention/{id}",
    summary="One explanation",
    response_model=ExplanationResponse,
    responses={200: {"content": {SVGResponse.media_type: {}}}, **problems(404, 422, 503)},
)
async def get_explanation(
    request: Request,
    id: Id,
    store: StoreDep,
    examiner: ExaminerDep,
    sequence: Sequence = 0,
    method: Method = "attention",
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """The sequences received, what was predicted, the weights, and the steps that weigh most with their values.

    With `Accept: image/svg+xml`, or under `/attention/{id}.svg`, one sequence as a picture; with `Accept: text/html`,
    as browsers send it, the explorer page opened on it.
    """
    wanted = [range.partition(";")[0].strip() for range in accept.split(",")]
    if "text/html" in wanted:
        return page(request)
    if SVGResponse.media_type in wanted:
        return await draw_explanation(id, store, examiner, sequence, method)
    content = wire.dump(_describe(await find(store, id)))
    return Response(content, media_type="application/json", headers={"Vary": "Accept"})


@router.delete("/attention/{id}", summary="Delete an explanation", status_code=204, responses=problems(404, 503))
async def delete_explanation(id: Id, store: StoreDep) -> None:
    """Forgets the sequences, the predictions and the weights."""
    if not await ask_store(store.delete(id)):
        raise not_found(id)


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
        "prediction": answers[index],
        "probability": explanation.predictions[index, 0],
        "unknown": wire.unknown(explanation, index) if explanation.has_inputs else None,
        "label": None,
        "attention": attention,
        "top": wire.top(explanation, index, TOP_STEPS),
        "concentration": sum(known) / len(known) if known else None,
    }
