"""GET /attention/{id}/faithfulness."""

from typing import Any

from fastapi import APIRouter, Response

from service import VERSION, wire
from service.examiner import Examined
from service.explanations.faithfulness import DRAWS, SHARES, Drops, Measured, step_counts
from service.explanations.measures import top_steps
from service.explanations.reasons import reason
from service.explanations.record import Explanation
from service.explanations.verdicts import nearly_uniform
from service.routes import problems
from service.routes.caching import NOT_MODIFIED, json_of
from service.routes.examining import ExaminerDep, Held, ask, describe_setup
from service.routes.finding import Id, Sequence, StoreDep, ask_store, find_sequence
from service.routes.formats import Known
from service.schemas.faithfulness import FaithfulnessResponse

router = APIRouter(tags=["attention"])
TOP_STEPS = 3


@router.get(
    "/attention/{id}/faithfulness",
    summary="May the weights of an explanation be believed",
    response_model=FaithfulnessResponse,
    responses=problems(404, 409, 422, 429, 503, 504) | NOT_MODIFIED,
)
async def examine_explanation(
    id: Id,
    store: StoreDep,
    examiner: ExaminerDep,
    sequence: Sequence = 0,
    baseline: Held = None,
    known: Known = None,
) -> Response:
    """Runs the model again without the steps that weigh most, with them alone, without as many at random, and without
    each step alone; and says whether the weights do better than chance.

    It takes some hundred runs of the model, behind all predictions that wait, and is done once: the answer is kept with
    the explanation. Where a sequence is long (above about 900 steps), neighbours are left out together.
    """
    explanation = await find_sequence(store, id, sequence)
    name = f"faithfulness {VERSION} {sequence} {baseline}"
    content = await ask_store(store.note(id, name))
    if content is None:
        examined = await ask(examiner.examine(explanation, sequence, baseline))
        content = wire.dump(_describe(explanation, sequence, examined))
        await ask_store(store.keep_note(id, name, content))
    return json_of(content, known)


def _describe(explanation: Explanation, index: int, examined: Examined) -> dict[str, Any]:
    """See `FaithfulnessResponse`."""
    found = examined.measured
    counts = step_counts(len(found.weights))
    return {
        "id": explanation.id,
        "model": explanation.model,
        "version": explanation.version,
        "sequence": index,
        "verdict": examined.verdict,
        "reason": _reason(examined),
        "comprehensiveness": _means(found.without),
        "sufficiency": _means(found.alone),
        "shares": [
            {"share": share, "steps": count, "without": _drop(found.without, i), "alone": _drop(found.alone, i)}
            for i, (share, count) in enumerate(zip(SHARES, counts, strict=True))
        ],
        "leave_one_out": _left_out(found),
        "uniformity": {
            "distance": found.distance,
            "concentration": found.concentration,
            "nearly_uniform": nearly_uniform(found),
        },
        **describe_setup(explanation, index, examined.setup),
        "draws": DRAWS,
        "seed": examined.seed,
    }


def _means(drops: Drops) -> dict[str, float]:
    means = {order: float(getattr(drops, order).mean()) for order in ("attention", "occlusion", "random")}
    return {**means, "random_std": drops.random_std}


def _drop(drops: Drops, share: int) -> dict[str, float]:
    return {order: float(getattr(drops, order)[share]) for order in ("attention", "occlusion", "random")}


def _left_out(found: Measured) -> dict[str, Any]:
    """See `LeaveOneOut`."""
    return {
        "width": found.width,
        "changes": found.importance,
        "top": [
            {"step": step, "change": change, "weight": found.weights[step]}
            for step, change in top_steps(found.importance, TOP_STEPS)
        ],
        "rank_correlation": found.rank_correlation,
    }


def verdict_in_words(examined: Examined) -> str:
    """The verdict, and why."""
    return f"{examined.verdict}: {_reason(examined)}"


def _reason(examined: Examined) -> str:
    setup = examined.setup
    has_unit = setup.unit is not None
    return reason(examined.measured, examined.verdict, of_values=setup.of_values, has_unit=has_unit)
