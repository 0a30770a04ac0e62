"""GET /attention, the list of kept explanations, and DELETE /attention, of all that pass a filter."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request

from service.errors import Invalid
from service.explanations.stores.store import Entry, Filter
from service.routes import problems
from service.routes.filtering import Cursor, SequenceFilterDep
from service.routes.finding import LEFT_OUT, StoreDep, ask_store
from service.schemas.attention import Deleted, ExplanationEntry, ExplanationList

router = APIRouter(tags=["attention"])
Answer = TypeVar("Answer", ExplanationList, Deleted)


@router.get(
    "/attention",
    summary="The latest explanations",
    response_model=ExplanationList,
    response_model_exclude_unset=True,
    responses=problems(404, 422, 503),
)
async def list_explanations(
    request: Request,
    store: StoreDep,
    filter: SequenceFilterDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="explanations on a page")] = 20,
    cursor: Cursor = None,
) -> Any:
    """Explanations of past predictions, newest first.

    Those whose inputs are not kept have no hash, and are not found by `sequence`; where the server leaves inputs out, a
    `note` says so.
    """
    filter = replace(filter, before=str(cursor) if cursor else None)
    entries = await ask_store(store.latest(filter, limit + 1))  # one more, to know whether there is a next page
    page = [_describe(entry) for entry in entries[:limit]]
    answer = ExplanationList(explanations=page, next=page[-1].id if len(entries) > limit else None)
    return _noted(answer, request, filter)


@router.delete(
    "/attention",
    summary="Delete explanations",
    response_model=Deleted,
    response_model_exclude_unset=True,
    responses=problems(404, 422, 503),
)
async def delete_explanations(request: Request, store: StoreDep, filter: SequenceFilterDep) -> Any:
    """Forgets all explanations that pass the filter. There must be one: of a model, a version, a label, a sequence, or
    a time.

    Those whose inputs are not kept have no hash, and are not found by `sequence`; where the server leaves inputs out, a
    `note` says so.
    """
    if filter == Filter():
        raise Invalid.at("the query", "model, version, label, sequence, since or until", "none of them")
    return _noted(Deleted(deleted=await ask_store(store.delete_all(filter))), request, filter)


def _noted(answer: Answer, request: Request, filter: Filter) -> Answer:
    """Says so where what is looked for by a hash may have none."""
    if filter.sequence is not None and not request.app.state.settings.store_inputs:
        answer.note = f"of some explanations the inputs are not kept, nor a hash to find them by: {LEFT_OUT}"
    return answer


def _describe(entry: Entry) -> ExplanationEntry:
    return ExplanationEntry(
        id=entry.id,
        created=datetime.fromtimestamp(entry.created, UTC),
        model=entry.model,
        version=entry.version,
        sequences=entry.sequences,
        labels=list(entry.labels),
        url=f"/attention/{entry.id}",
    )
