"""What is to happen once all answers of a run are made: at its end, and not in another turn of the event loop.

Each turn looks for new requests first, and the few that have come by then would be the next run.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)
_later: list[Callable[[], None]] | None = None


def soon(callback: Callable[[], None]) -> None:
    """Calls it at the end of the run whose answers are made, or else in the next turn of the event loop."""
    if _later is None:
        asyncio.get_running_loop().call_soon(callback)
    else:
        _later.append(callback)


@contextmanager
def run() -> Iterator[None]:
    """At its end calls what came meanwhile, and what comes of that."""
    global _later  # noqa: PLW0603 (there is one event loop)
    callbacks = _later = []
    try:
        yield
        for callback in callbacks:  # which may grow
            try:
                callback()
            except Exception:  # the others have to be called, too
                logger.exception("what was to happen after a run failed")
    finally:
        _later = None
