"""Group commit: what is put while a commit is on its way is committed together next, with one task for all of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from service import deferred

logger = logging.getLogger(__name__)
T = TypeVar("T")
Kept = Callable[[BaseException | None], None]


class Groups(Generic[T]):
    """The group that is filled and the one that is committed.

    Args:
        commit: commits rows; never two at a time. Returns None if it has done so right away.
    """

    def __init__(self, commit: Callable[[list[T]], Awaitable[None] | None]) -> None:
        self._commit = commit
        self._rows: list[T] = []
        self._kept: list[Kept] = []  # who is told of each
        self._busy = False
        self._settled: asyncio.Future[None] | None = None

    def put(self, row: T, kept: Kept) -> None:
        """Adds a row to the next group; `kept` is called later, with the error of the commit, or None."""
        if not self._busy:
            self._busy = True
            deferred.after_run(self._write)  # with all that is put at once
        self._rows.append(row)
        self._kept.append(kept)

    async def settle(self) -> None:
        """Returns when all that was put is committed, or has failed."""
        while self._busy:
            self._settled = self._settled or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._settled)

    def _write(self) -> None:
        """Commits the next group; what comes in the meantime is the one after it."""
        rows, kept, self._rows, self._kept = self._rows, self._kept, [], []
        try:
            writing = self._commit(rows)
        except Exception as error:  # noqa: BLE001 (whatever it is, who waits is told)
            self._written(kept, error)
        else:
            if writing is None:
                self._written(kept, None)
            else:
                task = asyncio.ensure_future(writing)
                task.add_done_callback(lambda task: self._written(kept, task.exception()))

    def _written(self, kept: list[Kept], error: BaseException | None) -> None:
        """Tells all who wait, without a turn of the event loop for each."""
        for tell in kept:
            try:
                tell(error)
            except Exception:  # its neighbours have to be told, too
                logger.exception("who waited for a commit failed")
        if self._rows:
            self._write()
            return
        self._busy = False
        if self._settled is not None:
            self._settled.set_result(None)
            self._settled = None
