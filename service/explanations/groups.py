"""Group commit: what is put while a commit is on its way is committed together next, with one task for all of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Group(Generic[T]):
    """Rows that are committed together.

    Attributes:
        committed: done when they are.
    """

    def __init__(self) -> None:
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rows: list[T] = []


class Groups(Generic[T]):
    """The group that is filled and the one that is committed.

    Args:
        commit: commits rows; never two at a time. Returns None if it has done so right away.
    """

    def __init__(self, commit: Callable[[list[T]], Awaitable[None] | None]) -> None:
        self._commit = commit
        self._next: Group[T] | None = None
        self._now: Group[T] | None = None

    def put(self, row: T) -> asyncio.Future[None]:
        """Adds a row to the next group; the future is done when it is committed, or has the error of the commit."""
        if self._next is None:
            self._next = Group()
            if self._now is None:
                asyncio.get_running_loop().call_soon(self._write)  # with all that is put in this turn of the loop
        self._next.rows.append(row)
        return self._next.committed

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
        if error is None:
            group.committed.set_result(None)
        else:
            group.committed.set_exception(error)
        self._write()
