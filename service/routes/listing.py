"""GET /attention, the list of kept explanations, and DELETE /attention, of all that pass a filter."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.errors import Invalid
from service.explanations.record import Explanation
from service.explanations.stores.store import Entry, Filter, Store
from service.routes import problems
from service.routes.filtering import Cursor, FilterDep
from service.routes.finding import LEFT_OUT, StoreDep, ask_store, read_pages
from service.schemas.attention import Deleted, ExplanationEntry, ExplanationList

router = APIRouter(tags=["attention"])
LOOKED_AT = 1000  # explanations whose sequences a page compares with the one asked for


@router.get(
    "/attention",
    summary="The latest explanations",
    response_model=ExplanationList,
    response_model_exclude_unset=True,
    responses=problems(404, 422, 503),
)
async def list_explanations(
    store: StoreDep,
    filter: FilterDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="explanations on a page")] = 20,
    cursor: Cursor = None,
    sequence: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{64}$", description="only of this sequence, by the `hash` that explanations give it"),
    ] = None,
) -> Any:
    """Explanations of past predictions, newest first.

    With `sequence`, a page looks through 1,000 explanations at most: it may hold few or none, and still have a `next`.
    Those whose inputs are not kept have no hash; a `note` says so.
    """
    filter = replace(filter, before=str(cursor) if cursor else None)
    if sequence is not None:
        return await _search(store, filter, limit, sequence)
    entries = await ask_store(store.latest(filter, limit + 1))  # one more, to know whether there is a next page
    page = [_describe(entry) for entry in entries[:limit]]
    return ExplanationList(explanations=page, next=page[-1].id if len(entries) > limit else None)


@router.delete("/attention", summary="Delete explanations", response_model=Deleted, responses=problems(404, 422, 503))
async def delete_explanations(store: StoreDep, filter: FilterDep) -> Any:
    """Forgets all explanations that pass the filter. There must be one: of a model, a version, a label, or a time."""
    if filter == Filter():
        raise Invalid.at("the query", "model, version, label, since or until", "none of them")
    return Deleted(deleted=await ask_store(store.delete_all(filter)))


async def _search(store: Store, filter: Filter, limit: int, hash: str) -> ExplanationList:
    """Explanations of a sequence; `next` is how far was looked, None if to the end."""
    found: list[Explanation] = []
    looked, last, hashed = 0, None, True
    async for page in read_pages(store, filter, LOOKED_AT):
        found += await asyncio.to_thread(_with, page, hash)
        looked, last, hashed = looked + len(page), page[-1].id, hashed and all(one.has_inputs for one in page)
        if len(found) >= limit:
            last = found[limit - 1].id
            break
    else:
        last = last if looked == LOOKED_AT else None
    answer = ExplanationList(explanations=[_describe(_entry(one)) for one in found[:limit]], next=last)
    if not hashed:
        answer.note = f"of some explanations the inputs are not kept, nor a hash to find them by: {LEFT_OUT}"
    return answer


def _with(page: list[Explanation], hash: str) -> list[Explanation]:
    return [one for one in page if any(one.hash(index) == hash for index in range(len(one)))]


def _entry(one: Explanation) -> Entry:
    return Entry(one.id, one.created, one.model, one.version, len(one), sorted(set(one.labels or [])))


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
