"""GET /attention/summary: what the weights of many explanations have in common."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from service import wire
from service.errors import Invalid
from service.explanations.record import Explanation
from service.explanations.stores.store import Filter, Store
from service.explanations.summary import summarize, weights_of
from service.routes import problems
from service.routes.filtering import FilterDep
from service.routes.finding import StoreDep, read_pages
from service.schemas.summary import SummaryResponse

router = APIRouter(tags=["attention"])
WEIGHTS = 1_000_000  # of a summary, about; it takes some 0.1 s
NEWEST = 100  # explanations, unless it is said: more of them change little, and take longer
Limit = Annotated[int, Query(ge=1, le=10_000, description="the newest explanations that are looked at")]


@router.get(
    "/attention/summary",
    summary="What the weights of many explanations have in common",
    response_model=SummaryResponse,
    responses=problems(404, 422, 503),
)
async def summarize_explanations(store: StoreDep, filter: FilterDep, limit: Limit = NEWEST) -> Response:
    """Mean and quantiles of the weights of each step, counted from the start of the sequence, over the newest
    explanations that pass the filter. They must be of one model; without `version`, of any of its versions.

    With `label`, over the sequences that were given it. A step of which few sequences are long enough says so in its
    `count`. Where explanations hold many weights, fewer than `limit` are looked at, a million weights or so: see
    `explanations`.
    """
    return Response(wire.dump(await summary(store, filter, limit)), media_type="application/json")


async def summary(store: Store, filter: Filter, limit: int) -> dict[str, Any]:
    """See `SummaryResponse`.

    Raises:
        Invalid: they are of several models, or of text.
        StoreFailed: the store failed.
    """
    found: list[Explanation] = []
    weights = 0
    async for page in read_pages(store, filter, limit):
        _check(found[:1] + page)
        found += page
        weights += sum(one.attention.values.size for one in page if one.attention is not None)
        if weights >= WEIGHTS:
            break
    versions = {one.version for one in found}
    return {
        "model": found[0].model if found else filter.model,
        "version": versions.pop() if len(versions) == 1 else filter.version,
        "label": filter.label,
        "explanations": len(found),
        **await asyncio.to_thread(lambda: summarize(weights_of(found, filter.label))),
    }


def _check(explanations: list[Explanation]) -> None:
    models = sorted({one.model for one in explanations})
    if len(models) > 1:
        expected = "the name of one model, whose steps mean the same"
        raise Invalid.at("the query parameter model", expected, " and ".join(models))
    if explanations[0].answers is not None:
        expected = "a model whose weights lie over steps that mean the same in every sequence"
        received = f"{models[0]}, which reads text: there is no step that two texts share"
        raise Invalid.at("the query parameter model", expected, received)
