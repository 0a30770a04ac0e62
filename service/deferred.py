"""What is to happen once all answers of a run are made: at its end, and not in another turn of the event loop.

Each turn looks for new requests first, and the few that have come by then would be the next run.
"""

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)
_later: list[Callable[[], None]] | None = None


def after_run(callback: Callable[[], None]) -> None:
    """Calls it at the end of the run whose answers are made, or else in the next turn of the event loop."""
    if _later is None:
        asyncio.get_running_loop().call_soon(callback)
    else:
        _later.append(callback)


class Run:
    """The answers of a run are made in it. At its end it calls what came meanwhile, and what comes of that."""

    __slots__ = ()

    def __enter__(self) -> None:
        global _later  # noqa: PLW0603 (there is one event loop)
        _later = []

    def __exit__(self, *_: object) -> None:
        global _later  # noqa: PLW0603
        try:
            for callback in _later or ():  # which may grow
                try:
                    callback()
                except Exception:  # the others have to be called, too
                    logger.exception("what was to happen after a run failed")
        finally:
            _later = None
