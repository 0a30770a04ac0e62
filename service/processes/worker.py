"""One of several processes that serve one port: what it does from its start to its end."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from service.errors import StartupError
from service.settings import Settings
from service.telemetry import logs

logger = logging.getLogger(__name__)
GRACE_S = 2.0  # from its deadline to stop until a worker is killed


def work(number: int, settings: Settings, folder: Path, pipe: Connection) -> None:
    """Serves until it is told to stop, or its parent has ended.

    Args:
        number: of the worker, from 1.
        settings: with the port that the parent has reserved.
        folder: where the workers leave their numbers.
        pipe: told `(True, greeting)` once this worker listens, or `(False, fault)`.
    """
    threading.Thread(target=_end_with_parent, args=(settings,), daemon=True).start()
    logs.set_up(settings.log_level, number)
    from service.processes import server
    from service.telemetry.collect import Telemetry
    from service.telemetry.shared import Shared

    try:
        shared = Shared(Telemetry(), folder, number)
        server.serve(settings, lambda greeting: pipe.send((True, greeting)), shared)
    except StartupError as error:
        pipe.send((False, str(error)))


def stop_within(settings: Settings) -> float:
    """Seconds after which a worker that was told to stop, and has not, is killed."""
    return settings.stop_notice + settings.stop_deadline + GRACE_S


def _end_with_parent(settings: Settings) -> None:
    """Waits for the parent to end, however it does; nobody else would stop this process then."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(stop_within(settings))
    os._exit(1)
