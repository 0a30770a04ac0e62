"""Many kept explanations, a few at a time: no more of them are in memory at once than a page."""

from collections.abc import AsyncIterator
from dataclasses import replace

from service.explanations.record import Explanation
from service.explanations.stores.store import Filter, Store

FIRST, MOST = 16, 1024  # explanations of a page
VALUES = 4_000_000  # of a page, about


async def pages(store: Store, filter: Filter, limit: int) -> AsyncIterator[list[Explanation]]:
    """The newest `limit` that pass the filter, newest first. Raises: StoreError."""
    size = FIRST
    while limit > 0 and (page := await store.read(filter, min(size, limit))):
        yield page
        limit -= len(page)
        filter = replace(filter, before=page[-1].id)
        each = sum(map(_values, page)) / len(page)
        size = int(max(1, min(MOST, 8 * size, VALUES // each)))


def _values(explanation: Explanation) -> int:
    parts = (explanation.sequences, explanation.attention)
    return 1 + sum(part.values.size for part in parts if part is not None)
