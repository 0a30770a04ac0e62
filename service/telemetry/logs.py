"""How a log line looks: when, how severe, of which worker, of which request."""

import logging

from service.telemetry.requests import current


def set_up(level: str, worker: int | None = None) -> None:
    """Logs to stderr what is at least as severe as `level`; `worker` where there are several."""
    name = "" if worker is None else f"worker {worker}: "
    logging.basicConfig(level=level.upper(), format=f"%(asctime)s %(levelname)s {name}%(request)s%(message)s")
    for handler in logging.root.handlers:
        handler.addFilter(_add_request)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.root.level))  # the greeting says it better


def _add_request(record: logging.LogRecord) -> bool:
    """Gives the record the id and the trace of the request that is being handled, if one is."""
    known = " ".join(filter(None, current.get()))
    record.request = f"[{known}] " if known else ""
    return True
