"""Two explanations as a picture, /attention/compare.svg, and many, /attention/summary.svg; in all formats."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service import wire
from service.errors import Invalid
from service.pictures.orders import Profile, Subject, Two
from service.routes.filtering import FilterDep
from service.routes.finding import Sequence, StoreDep, find_sequence
from service.routes.formats import Known, RendererDep, Suffix, ThemeName, answer, pictures
from service.routes.summary import NEWEST, Limit, summary

router = APIRouter(tags=["pictures"])


@router.get(
    "/attention/compare.{format:picture}",
    summary="Two explanations as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_comparison(
    a: Annotated[str, Query(description="the `id` of a POST /predict answer")],
    b: Annotated[str, Query(description="the `id` of another")],
    format: Suffix,
    store: StoreDep,
    renderer: RendererDep,
    sequence: Sequence = 0,
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """A sequence of each request, one above the other, and by how much the weights of the second are more."""
    first, second = await find_sequence(store, a, sequence), await find_sequence(store, b, sequence)
    if (first.texts is None) != (second.texts is None):
        text = first if first.texts is not None else second
        raise Invalid.at("the query parameter b", "both of texts, or neither", f"one of texts, by {text.model}")

    async def make() -> Subject:
        return Two(*(one.cut(sequence, sequence + 1) for one in (first, second)))

    return await answer(renderer, make, ("compare", a, b, sequence), format, theme, known)


@router.get(
    "/attention/summary.{format:picture}",
    summary="What the weights of many explanations have in common, as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_summary(
    format: Suffix,
    store: StoreDep,
    renderer: RendererDep,
    filter: FilterDep,
    limit: Limit = NEWEST,
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """The weights by step, their median, mean and spread, and how often each step is the heaviest; see
    `/attention/summary`, whose queries it takes.
    """
    found = await summary(store, filter, limit)

    async def make() -> Subject:
        return Profile(found)

    return await answer(renderer, make, ("summary", wire.dump(found)), format, theme, known)
