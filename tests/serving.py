"""A real server in a process of its own, for tests that come in through the front door."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


@dataclass
class Serving:
    url: str
    process: subprocess.Popen

    def stop(self, number: int = signal.SIGINT) -> int:
        """Sends the signal and waits; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def serving(
    *options: object, models: Path = MODELS, store: str = "none", log: IO[str] | None = None
) -> Iterator[Serving]:
    """Starts `python -m service` on a free port, its log going to `log`, and waits for its greeting."""
    command = [sys.executable, "-m", "service", "--port", "0", "--models", models, "--store", store, *options]
    command = [str(part) for part in command]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            greeting = process.stdout.readline()
            found = re.search(r"http://\S+", greeting)
            assert found, f"expected a greeting, received {greeting!r}"
            yield Serving(found.group(), process)
        finally:
            process.kill()
