"""What the routes share that read kept explanations: the store, one explanation of it, and how its failure is told."""

import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Query, Request

from service import reading
from service.errors import Fault, NotFound, StoreFailed
from service.explanations.record import Explanation
from service.explanations.stores.paging import pages
from service.explanations.stores.store import Filter, Store, StoreDown, StoreError

logger = logging.getLogger(__name__)
LEFT_OUT = "the server was told to leave them out (--no-store-inputs)"
NO_INPUTS = f"this one's are not: {LEFT_OUT}"
R = TypeVar("R")


def get_store(request: Request) -> Store:
    """The app's store.

    Raises:
        NotFound: the server keeps no explanations.
    """
    store: Store | None = request.app.state.store
    if store is None:
        raise NotFound("expected a server that keeps explanations; this one was started with the store set to none")
    return store


StoreDep = Annotated[Store, Depends(get_store)]
Id = Annotated[str, Path(description="the `id` of a POST /predict answer")]
Sequence = Annotated[int, Query(ge=0, description="which sequence of the request a picture shows")]


async def ask_store(answer: Awaitable[R]) -> R:
    """Awaits the store; its failure is the server's, and passes.

    Raises:
        StoreFailed: it failed.
    """
    try:
        return await answer
    except StoreError as error:
        raise _failed(error) from error


async def read_pages(store: Store, filter: Filter, limit: int) -> AsyncIterator[list[Explanation]]:
    """See `pages`.

    Raises:
        StoreFailed: the store failed.
    """
    try:
        async for page in pages(store, filter, limit):
            yield page
    except StoreError as error:
        raise _failed(error) from error


def _failed(error: StoreError) -> StoreFailed:
    """The answer; what went wrong is logged."""
    if not isinstance(error, StoreDown):  # said once, when it went down
        logger.error("explanations not read: %s", error)
    return StoreFailed()


async def find(store: Store, id: str) -> Explanation:
    """The explanation with this id.

    Raises:
        NotFound: there is none.
        StoreFailed: the store failed.
    """
    explanation = await ask_store(store.get(id))
    if explanation is None:
        raise not_found(id)
    return explanation


async def find_sequence(store: Store, id: str, sequence: int) -> Explanation:
    """An explanation that has this sequence, and its inputs.

    Raises:
        NotFound: there is none, or it has not.
        StoreFailed: the store failed.
    """
    explanation = await find(store, id)
    check_sequence(explanation, sequence)
    if not explanation.has_inputs:
        raise NotFound(f"expected an explanation whose inputs are kept, to draw or test it; {NO_INPUTS}")
    return explanation


def check_sequence(explanation: Explanation, sequence: int) -> None:
    """Holds an explanation to have this sequence.

    Raises:
        NotFound: it has not.
    """
    if sequence >= len(explanation):
        expected = f"a sequence from 0 to {len(explanation) - 1}"
        fault = Fault(pointer="the query parameter sequence", expected=expected, received=str(sequence))
        raise NotFound(f"expected {expected}, received {sequence}", [fault])


def not_found(id: str) -> NotFound:
    """There is no explanation with this id."""
    why = "never given, deleted, or too old"
    if id == "draw":
        why = "what is not kept is drawn by POST /attention/draw.svg"
    return NotFound(f"expected the id of a kept explanation, received {reading.describe(id)}: {why}")
