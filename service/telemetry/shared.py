"""The numbers of all worker processes, whichever is asked: each leaves its own in a folder for the others."""

import asyncio
import logging
import os
from pathlib import Path

import msgspec

from service.telemetry.collect import Telemetry
from service.telemetry.numbers import Snapshot

logger = logging.getLogger(__name__)
EVERY_S = 1.0


class Shared:
    """The numbers of this worker, and of the others.

    A worker that takes the place of one that ended goes on from the last numbers that one left. And a worker leaves its
    numbers before it shows them. So whoever is asked, a counter never falls.

    Args:
        telemetry: of this process.
        folder: where the workers leave their numbers; None where there is only this one.
        worker: number of this one, from 1.
    """

    def __init__(self, telemetry: Telemetry, folder: Path | None = None, worker: int = 1) -> None:
        self.telemetry = telemetry
        self._folder, self._worker = folder, worker
        self._lock = asyncio.Lock()
        if folder is not None and (last := folder / f"{worker}.json").exists():
            telemetry.restore(_read(last))

    async def keep_leaving(self) -> None:
        """Leaves this worker's numbers for the others once a second, until it is cancelled."""
        while self._folder is not None:
            await self.leave()
            await asyncio.sleep(EVERY_S)

    async def leave(self) -> Snapshot:
        """Leaves this worker's numbers for the others; returns them."""
        async with self._lock:  # or an older snapshot might overtake a newer one
            mine = self.telemetry.snapshot(self._worker, os.getpid())
            if self._folder is not None:
                try:
                    await asyncio.to_thread(_write, self._folder / f"{self._worker}.json", mine)
                except OSError as error:
                    logger.error("the numbers of this worker cannot be left for the others: %s", error)
            return mine

    async def all(self) -> list[Snapshot]:
        """The numbers of this worker, and the last that each of the others left."""
        mine = await self.leave()
        if self._folder is None:
            return [mine]
        paths = sorted(self._folder.glob("*.json"))
        return [mine, *(_read(path) for path in paths if path.stem != str(self._worker))]


def _write(path: Path, snapshot: Snapshot) -> None:
    """Writes beside, then renames: who reads finds the old or the new, whole."""
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(snapshot))
    beside.replace(path)


def _read(path: Path) -> Snapshot:
    """What a worker left; without what is only true of a process that lives, if its process has ended."""
    snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    if snapshot.pid is not None and not Path("/proc", str(snapshot.pid)).exists():
        return msgspec.structs.replace(snapshot, pid=None, gauges=[])
    return snapshot
