"""The file of pins: which version of a model answers where a request names none. Several processes share it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from service.errors import PinsError

PINS = TypeAdapter(dict[str, Annotated[int, Field(ge=1, strict=True)]])


class Pins:
    """A JSON file `{"NAME": VERSION}`, written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, int]:
        """The pinned version of each model; none where there is no file.

        Raises:
            PinsError: the file cannot be read, or holds something else.
        """
        try:
            return PINS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise PinsError(f'expected pins {{"NAME": VERSION}} in {self._path}, received: {error}') from error

    def set(self, name: str, version: int | None) -> dict[str, int]:
        """Pins a model to a version, None to none; returns all pins.

        Raises:
            PinsError: the file cannot be read or written.
        """
        try:
            with self._alone():
                pins = {key: value for key, value in self.read().items() if key != name}
                if version is not None:
                    pins[name] = version
                self._write(pins)
                return pins
        except OSError as error:
            raise PinsError(f"expected to write the pins to {self._path}, received: {error}") from error

    def _write(self, pins: dict[str, int]) -> None:
        beside = self._path.with_suffix(".writing")  # of this process alone: see `_alone`
        with beside.open("w") as file:
            json.dump(pins, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from writing: what one of them has just pinned would be lost."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
