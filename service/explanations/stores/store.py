"""What the service asks of a store of explanations; `sqlite.py` and `valkey.py` are two."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.errors import ServiceError
from service.explanations.record import Explanation
from service.explanations.stores.groups import Kept

READ_BYTES = 16_000_000  # of what one `read` returns: others wait for it, and have memory, too


class StoreError(ServiceError):
    """The store did not do what it was asked: it is full, locked, gone or damaged."""


class StoreDown(StoreError):
    """The store was not even asked, since it is known not to answer."""


class TooBig(StoreError):
    """An explanation is larger than the store takes: no failure of the store, which goes on with others."""


@dataclass(frozen=True)
class Filter:
    """Which explanations; None does not filter.

    Attributes:
        label: at least one sequence was given this label.
        since: made at or after this time.
        until: made before this time.
        sequence: at least one sequence has this hash, see `Explanation.hash`.
        before: the id of an explanation; those made before it (the cursor of the page before).
    """

    model: str | None = None
    version: int | None = None
    label: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sequence: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Entry:
    """A listed explanation, without its arrays."""

    id: str
    created: float
    model: str
    version: int
    sequences: int
    labels: Sequence[str]


class Store(Protocol):
    """Keeps explanations. Every method may raise StoreError."""

    @property
    def trouble(self) -> str | None:
        """What keeps it from keeping, as far as is known; None when all is well."""

    async def open(self) -> None:
        """Called once, on the event loop, before anything else. Does not wait for a store that does not answer."""

    def put(self, explanation: Explanation, kept: Kept) -> None:
        """Keeps it. `kept` is called once: with None when `get` finds it, also after a restart; or with the error."""

    async def get(self, id: str) -> Explanation | None:
        """The explanation, or None when there is none (any more)."""

    async def latest(self, filter: Filter, limit: int) -> list[Entry]:
        """The newest `limit` that pass the filter, newest first."""

    async def read(self, filter: Filter, limit: int) -> list[Explanation]:
        """Those of `latest`, whole; fewer, but some if there are any, where all hold more than about `READ_BYTES`."""

    async def delete(self, id: str) -> bool:
        """Deletes it; False when there was none."""

    async def delete_all(self, filter: Filter) -> int:
        """Deletes all that pass the filter and were there when it began, newest first; how many they were."""

    async def note(self, id: str, name: str) -> bytes | None:
        """What was noted about an explanation under this name, or None."""

    async def keep_note(self, id: str, name: str, note: bytes) -> None:
        """Notes it, for about as long as the explanation is kept; does nothing where there is none."""

    async def close(self) -> None:
        """Lets go of files and connections."""
