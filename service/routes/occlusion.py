"""GET /attention/{id}?method=occlusion: what leaving out each step of a sequence alone changes, as JSON."""

from typing import Any, Literal

from service import wire
from service.errors import Invalid
from service.examiner import Examiner, Occluded
from service.explanations.measures import top_steps
from service.explanations.record import Explanation
from service.explanations.stores.store import Store
from service.routes.examining import ask, describe_setup
from service.routes.finding import find_sequence
from service.schemas.faithfulness import Baseline

TOP_STEPS = 3


async def occlude(
    store: Store, examiner: Examiner, id: str, sequence: int | Literal["all"], baseline: Baseline | None
) -> bytes:
    """See `OcclusionResponse`.

    Raises:
        NotFound: there is no such explanation or sequence, its inputs are not kept, or its model is not served.
        Invalid: all sequences are asked for, or the baseline is none of this model.
        HttpError: the store failed, too much waits, or it took too long.
    """
    if sequence == "all":
        raise Invalid.at("the query parameter sequence", "the index of one sequence, to run its model again", '"all"')
    explanation = await find_sequence(store, id, sequence)
    return wire.dump(_describe(explanation, sequence, await ask(examiner.occlude(explanation, sequence, baseline))))


def _describe(explanation: Explanation, sequence: int, found: Occluded) -> dict[str, Any]:
    return {
        "id": explanation.id,
        "model": explanation.model,
        "version": explanation.version,
        "sequence": sequence,
        "method": "occlusion",
        "width": found.width,
        "changes": found.importance,
        "top": [{"step": step, "change": change} for step, change in top_steps(found.importance, TOP_STEPS)],
        **describe_setup(explanation, sequence, found.setup),
    }
