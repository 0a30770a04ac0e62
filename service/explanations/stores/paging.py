"""Many kept explanations, a few at a time: no more of them are in memory at once than a page."""

from collections.abc import AsyncIterator
from dataclasses import replace

from service.explanations.record import Explanation
from service.explanations.stores.store import Filter, Store

FIRST, MOST = 16, 1024  # explanations of a page


async def pages(store: Store, filter: Filter, limit: int) -> AsyncIterator[list[Explanation]]:
    """The newest `limit` that pass the filter, newest first. Raises: StoreError."""
    size = FIRST
    while limit > 0 and (page := await store.read(filter, min(size, limit))):
        yield page
        limit -= len(page)
        filter = replace(filter, before=page[-1].id)
        size = min(MOST, 8 * len(page))  # where they are large, the store has returned fewer than were asked for
