"""What the routes share that run a model again for an explanation."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request

from service.batcher import DeadlineExceeded, Full, Stopped
from service.examiner import Examiner
from service.explanations.record import Explanation
from service.predictor import as_http
from service.schemas.faithfulness import Baseline
from service.subject import Setup

R = TypeVar("R")


def get_examiner(request: Request) -> Examiner:
    """The app's examiner."""
    examiner: Examiner = request.app.state.predictor.examiner
    return examiner


ExaminerDep = Annotated[Examiner, Depends(get_examiner)]
Held = Annotated[
    Baseline | None,
    Query(
        description="what a removed step holds: the training mean of each feature (the default where the model says "
        "it), the mean of the sequence (the default where not), the last value that is kept, or zero; of text, an "
        "unknown character"
    ),
]


def describe_setup(explanation: Explanation, index: int, setup: Setup) -> dict[str, Any]:
    """What a removed step of a sequence holds, and what changes are counted in, as answers say it."""
    values = None
    if setup.values is not None and explanation.answers is None:
        values = dict(zip(explanation.features, setup.values.tolist(), strict=True))
    return {"baseline": setup.baseline, "baseline_values": values, "unit": setup.unit_in_words(explanation, index)}


async def ask(answer: Awaitable[R]) -> R:
    """Awaits the examiner.

    Raises:
        HttpError: too much waits, it took too long, or the server is stopping.
    """
    try:
        return await answer
    except (Full, DeadlineExceeded, Stopped) as error:
        raise as_http(error) from error
