"""Group commit: what is put while a commit is on its way is committed together next, with one task for all of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")
Kept = Callable[[BaseException | None], None]


class Group(Generic[T]):
    """Rows that are committed together.

    Attributes:
        committed: done when they are, or have failed.
        kept: who is told.
    """

    def __init__(self) -> None:
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rows: list[T] = []
        self.kept: list[Kept] = []

    def finish(self, error: BaseException | None) -> None:
        """Tells all who wait, without a turn of the event loop for each."""
        for kept in self.kept:
            try:
                kept(error)
            except Exception:  # its neighbours have to be told, too
                logger.exception("who waited for a commit failed")
        self.committed.set_result(None)


class Groups(Generic[T]):
    """The group that is filled and the one that is committed.

    Args:
        commit: commits rows; never two at a time. Returns None if it has done so right away.
    """

    def __init__(self, commit: Callable[[list[T]], Awaitable[None] | None]) -> None:
        self._commit = commit
        self._next: Group[T] | None = None
        self._now: Group[T] | None = None

    def put(self, row: T, kept: Kept) -> None:
        """Adds a row to the next group; `kept` is called later, with the error of the commit, or None."""
        if self._next is None:
            self._next = Group()
            if self._now is None:
                asyncio.get_running_loop().call_soon(self._write)  # with all that is put in this turn of the loop
        self._next.rows.append(row)
        self._next.kept.append(kept)

    async def settle(self) -> None:
        """Returns when all that was put is committed, or has failed."""
        while (group := self._next or self._now) is not None:
            await asyncio.wait([group.committed])

    def _write(self) -> None:
        """Commits the next group; what comes in the meantime is the one after it."""
        group = self._now = self._next
        self._next = None
        if group is None:
            return
        try:
            writing = self._commit(group.rows)
        except Exception as error:  # noqa: BLE001 (whatever it is, who waits is told)
            self._written(group, error)
        else:
            if writing is None:
                self._written(group, None)
            else:
                task = asyncio.ensure_future(writing)
                task.add_done_callback(lambda task: self._written(group, task.exception()))

    def _written(self, group: Group[T], error: BaseException | None) -> None:
        group.finish(error)
        self._write()
