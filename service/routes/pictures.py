"""One explanation as a picture, /attention/{id}.svg, .png, .html and .vl.json, and its test, .../faithfulness.svg."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.errors import Fault, Invalid
from service.explanations.charts.left_out import LeftOut
from service.pictures.orders import MOST, All, Attention, Faithfulness, Occlusion, Subject
from service.routes.examining import ExaminerDep, Held, ask
from service.routes.faithfulness import verdict_in_words
from service.routes.finding import Id, Sequence, StoreDep, find_sequence
from service.routes.formats import Known, RendererDep, Suffix, ThemeName, answer, pictures
from service.schemas.faithfulness import Baseline
from service.subject import Setup

router = APIRouter(tags=["pictures"])


def read_which(value: Any) -> int | Literal["all"]:
    """The query parameter `sequence`."""
    if value == "all":
        return "all"
    if str(value).isdecimal() and len(str(value)) < 10:
        return int(value)
    raise PydanticCustomError("sequence", "the index of a sequence, from 0, or all")


Which = Annotated[
    int | Literal["all"],
    PlainValidator(read_which),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "all"}]}),
    Query(description=f"which sequence of the request; or all, {MOST} at most, above each other"),
]
Method = Annotated[
    Literal["attention", "occlusion"],
    Query(description="what a picture shows: the weights, or what leaving out each step changes"),
]


@router.get(
    "/attention/{id}.{format:picture}",
    summary="One explanation as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_explanation(
    id: Id,
    format: Suffix,
    store: StoreDep,
    examiner: ExaminerDep,
    renderer: RendererDep,
    sequence: Which = 0,
    method: Method = "attention",
    theme: ThemeName = "light",
    known: Known = None,
    baseline: Held = None,
) -> Response:
    """A sequence drawn over time: its values, the weights as a heat band and as bars, the steps that weigh most marked.

    Of text, the weights of each character of the answer over those of the text. With `method=occlusion`, what leaving
    out each step changes instead of the weights; `baseline` is of that only. `.html` needs nothing but itself; it is as
    wide as the window.
    """
    _check(sequence, method, baseline)
    index = 0 if sequence == "all" else sequence
    explanation = await find_sequence(store, id, index)

    async def make() -> Subject:
        if method == "occlusion":
            occluded = await ask(examiner.occlude(explanation, index, baseline))
            left_out = _left_out(occluded.setup, occluded.importance, occluded.width)
            return Occlusion(explanation.cut(index, index + 1), left_out)
        if sequence == "all":
            return All(explanation.cut(0, MOST), len(explanation))
        return Attention(explanation.cut(index, index + 1))

    return await answer(renderer, make, (method, id, sequence, baseline), format, theme, known)


@router.get(
    "/attention/{id}/faithfulness.{format:picture}",
    summary="The test of an explanation as a picture",
    response_class=Response,
    responses=pictures(404, 422, 429, 503, 504),
)
async def draw_test(
    id: Id,
    format: Suffix,
    store: StoreDep,
    examiner: ExaminerDep,
    renderer: RendererDep,
    sequence: Sequence = 0,
    baseline: Held = None,
    theme: ThemeName = "light",
    known: Known = None,
) -> Response:
    """The weights of a sequence, and what leaving out each step changes, on one time axis."""
    explanation = await find_sequence(store, id, sequence)

    async def make() -> Subject:
        examined = await ask(examiner.examine(explanation, sequence, baseline))
        measured, cut = examined.measured, explanation.cut(sequence, sequence + 1)
        left_out = _left_out(examined.setup, measured.importance, measured.width)
        return Faithfulness(cut, measured.weights.tolist(), left_out, verdict_in_words(examined))

    return await answer(renderer, make, ("faithfulness", id, sequence, baseline), format, theme, known)


def _left_out(setup: Setup, importance: NDArray[np.float64], width: int) -> LeftOut:
    return LeftOut(importance.tolist(), width, setup.baseline, setup.unit)


def _check(sequence: int | Literal["all"], method: str, baseline: Baseline | None) -> None:
    """Refuses what a picture cannot show.

    Raises:
        Invalid: occlusion of all sequences, or a baseline without occlusion.
    """
    if method == "occlusion" and sequence == "all":
        expected = "the index of a sequence, because occlusion is drawn of one alone"
        raise Invalid([Fault(pointer="the query parameter sequence", expected=expected, received="all")])
    if method != "occlusion" and baseline is not None:
        expected = "none, because no step is removed without method=occlusion"
        raise Invalid([Fault(pointer="the query parameter baseline", expected=expected, received=baseline)])
