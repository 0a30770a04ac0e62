"""python -m service: settings, app, server."""

import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from service import wire
from service.app import create_app
from service.docs import example_request
from service.errors import StartupError
from service.repository import Repository
from service.settings import Settings

DRAIN_S = 5  # seconds that requests get to finish in when the server is told to stop


def main() -> int:
    """Serves until it is told to stop; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 of a container ignores it otherwise
    try:
        settings = CliApp.run(Settings)
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.root.level))  # the greeting says it better
        app = create_app(settings)
        listener = listen(settings)
    except ValidationError as error:
        for fault in error.errors():
            option = "--" + "-".join(map(str, fault["loc"])).replace("_", "-")
            print(f"error: {option}: {fault['msg']}, received {fault['input']!r}", file=sys.stderr)
        return 2
    except (SettingsError, StartupError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    server = Server(app)
    server.run(sockets=[listener])
    return 0 if server.started else 1


class Server(uvicorn.Server):
    """uvicorn, which says where to look once it listens, and ends with status 0 when it is told to stop."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=DRAIN_S))
        self._repository: Repository = app.state.repository

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
        if self.started and sockets:
            print(greeting(self._repository, sockets[0].getsockname()), flush=True)


def listen(settings: Settings) -> socket.socket:
    """A socket on the settings' address.

    Raises:
        StartupError: the address is taken, or not of this machine.
    """
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        if (error.errno or 0) < 0:  # of the name look-up
            raise StartupError(
                f"expected an IPv4 address of this machine for --host, received {settings.host}"
            ) from error
        hint = "; --port picks another" if error.errno == errno.EADDRINUSE else ""
        found = os.strerror(error.errno or 0)
        raise StartupError(f"expected to listen on {settings.host}:{settings.port}, received: {found}{hint}") from error


def greeting(repository: Repository, address: tuple[str, int]) -> str:
    """What a person needs to take the next step: where to look, and a request to copy."""
    host = "127.0.0.1" if address[0] == "0.0.0.0" else address[0]  # noqa: S104
    url = f"http://{host}:{address[1]}"
    providers = " and ".join(sorted({model.runtime.provider for model in repository.models}))
    lines = [
        f"Serving {', '.join(repository.names)} on {providers} at {url}"
        if repository.models
        else f"Serving no models: {len(repository.broken)} folders are broken, at {url}",
        f"  docs, with requests to try   {url}/docs",
        f"  the latest explanations      {url}/attention",
    ]
    requests = [request for model in repository.models if (request := example_request(model.manifest))]
    if requests:
        shortest = min((wire.dump(request | {"sequences": request["sequences"][:1]}) for request in requests), key=len)
        lines.append(
            f"  a first request\n\ncurl {url}/predict -H 'Content-Type: application/json' -d '{shortest.decode()}'\n"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
