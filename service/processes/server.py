"""One process that serves: the app, its socket, uvicorn, and the greeting."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import uvicorn
from fastapi import FastAPI

from service import wire
from service.app import create_app
from service.fastpath.protocol import PredictProtocol
from service.fastpath.writer import AnswerWriter
from service.models.repository import Repository
from service.openapi import example_request
from service.processes.sockets import listen
from service.settings import Settings
from service.telemetry.shared import Shared

GARBAGE = 20_000  # objects made and not freed, after which the collector looks through them; Python's 700 are one batch
SWITCH_S = 0.0005  # a thread that reads the store gets Python's lock after so long, not after 5 ms, at each of its rows


def serve(settings: Settings, started: Callable[[str], None], shared: Shared | None = None) -> int:
    """Serves until it is told to stop; returns the exit status.

    Args:
        started: told the greeting, once the server listens.
        shared: the numbers, where several workers have them, and the port, together.

    Raises:
        StartupError: something is not as the settings say.
    """
    app = create_app(settings, shared)
    with listen(settings.host, settings.port, share=shared is not None) as listener:
        server = Server(app, settings, started)
        server.run(sockets=[listener])
    return 0 if server.started else 1


class Server(uvicorn.Server):
    """uvicorn, which says where to look once it listens, and ends with status 0 when it is told to stop."""

    def __init__(self, app: FastAPI, settings: Settings, started: Callable[[str], None]) -> None:
        deadline = settings.stop_deadline
        protocol = cast(
            "type[asyncio.Protocol]", partial(PredictProtocol, service=app, writer=AnswerWriter(), known={})
        )
        super().__init__(
            uvicorn.Config(app, http=protocol, log_config=None, access_log=False, timeout_graceful_shutdown=deadline)
        )
        self._app, self._settings, self._tell_started = app, settings, started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on Ctrl-C and SIGTERM. uvicorn's own raises the signal again: a traceback, or status 143."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts as uvicorn does, then greets."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is there at the start stays: the collector need not look through it ever again
        gc.set_threshold(GARBAGE)
        sys.setswitchinterval(SWITCH_S)
        if self.started and sockets:
            self._tell_started(greeting(self._app.state.repository, sockets[0].getsockname()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets load balancers see that the server is about to stop, then stops as uvicorn does."""
        self._app.state.draining = True
        await asyncio.sleep(self._settings.stop_notice)
        await super().shutdown(sockets)


def greeting(repository: Repository, address: tuple[str, int]) -> str:
    """What a person needs to take the next step: where to look, and a request to copy."""
    host = "127.0.0.1" if address[0] == "0.0.0.0" else address[0]  # noqa: S104
    url = f"http://{host}:{address[1]}"
    providers = " and ".join(sorted({version.model.runtime.provider for version in repository.served if version.model}))
    lines = [
        f"Serving {', '.join(repository.names)} on {providers or 'demand'} at {url}"
        if repository.names
        else f"Serving no models: {len(repository.broken)} folders are broken, at {url}",
        f"  docs, with requests to try   {url}/docs",
        f"  the latest explanations      {url}/attention",
    ]
    manifests = [version.manifest for version in repository.served if version.manifest]
    requests = [request for manifest in manifests if (request := example_request(manifest))]
    if requests:
        shortest = min((wire.dump(request | {"sequences": request["sequences"][:1]}) for request in requests), key=len)
        lines.append(
            f"  a first request\n\ncurl {url}/predict -H 'Content-Type: application/json' -d '{shortest.decode()}'\n"
        )
    return "\n".join(lines)
