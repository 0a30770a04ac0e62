"""What a run has done so far: a folder `OUT.unfinished` of parts, each written beside and then renamed.

A run that is killed loses the parts that were being written, and does them again. The folder also says which run it is
of, so that another one does not go on with it.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

import pyarrow as pa

from service.errors import StartupError
from service.score.scorer import Fault

RUN_FILE, SUFFIX = "run.json", ".arrow"
COUNT, FAULTS = b"count", b"faults"


class Parts:
    """The parts of a run.

    Args:
        out: the file that the run is to write.
        run: what makes the run the same: of its input, model and options.

    Attributes:
        done: names of the parts that are there.

    Raises:
        StartupError: the folder is of another run, or another process is at it; or `out` is there already.
        OSError: the folder cannot be written.
    """

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        self.folder = out.with_name(f"{out.name}.unfinished")
        if out.exists() and not self.folder.exists():
            raise StartupError(f"expected a file that is not there yet, received {out}")
        self.folder.mkdir(exist_ok=True)
        self._lock = self._alone()
        try:
            self._check_run(run)
        except StartupError:
            self._lock.close()
            raise
        self.done = {path.stem for path in self.folder.glob(f"*{SUFFIX}") if _is_whole(path)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def tables(self) -> Iterator[pa.Table]:
        """The parts in the order of the file."""
        return map(self.table, sorted(self.done))

    def table(self, name: str) -> pa.Table:
        """A part that is done."""
        with self._open(name) as file:
            return pa.ipc.open_file(file).read_all().replace_schema_metadata(None)

    def notes(self) -> Iterator[tuple[int, list[Fault]]]:
        """Of each part how many sequences it has, and what was wrong with some."""
        for name in sorted(self.done):
            with self._open(name) as file:
                metadata = pa.ipc.open_file(file).schema.metadata
            yield int(metadata[COUNT]), [Fault(*fault) for fault in json.loads(metadata[FAULTS])]

    def remove(self) -> None:
        """The run is finished."""
        shutil.rmtree(self.folder)

    def _open(self, name: str) -> Any:
        return pa.OSFile(str(self.folder / f"{name}{SUFFIX}"))

    def _alone(self) -> IO[str]:
        """A lock that ends with the process, however that ends."""
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StartupError(f"expected {self.folder} to be free, received one that another run is writing") from None
        return lock

    def _check_run(self, run: dict[str, Any]) -> None:
        path = self.folder / RUN_FILE
        if path.exists():
            begun = json.loads(path.read_text())
            for name, received in run.items():
                if begun[name] != received:
                    raise StartupError(
                        f"expected the {name} that {self.folder} was begun with, {begun[name]}, received {received}; "
                        "delete the folder to begin anew"
                    )
            return
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(run, indent=1) + "\n")
        beside.replace(path)


def write_part(folder: Path, name: str, table: pa.Table, faults: list[Fault]) -> None:
    """Keeps a part; in one step, so that it is there whole or not at all, and also where two processes make it."""
    beside = folder / f"{name}.{uuid4().hex}.tmp"
    described = table.replace_schema_metadata({COUNT: str(len(table)), FAULTS: json.dumps(faults)})
    with pa.ipc.new_file(beside, described.schema) as writer:
        writer.write_table(described)
    beside.replace(folder / f"{name}{SUFFIX}")


def _is_whole(path: Path) -> bool:
    """Whether a part can be read; after a power failure a renamed file may be empty."""
    try:
        with pa.OSFile(str(path)) as file:
            pa.ipc.open_file(file)
    except pa.ArrowInvalid:
        return False
    return True
