"""`models/NAME/VERSION/` on disk: which there are, and what tells that one has changed."""

from pathlib import Path
from typing import NamedTuple

from service.manifest import GRAPH_FILE, MANIFEST_FILE


class FileStamp(NamedTuple):
    """What changes with a file's content; zeros where there is no file."""

    inode: int = 0
    size: int = 0
    changed_ns: int = 0


class Stamp(NamedTuple):
    """What changes with the content of a version's folder."""

    graph: FileStamp
    manifest: FileStamp


def scan(root: Path) -> dict[str, Stamp]:
    """The folders `NAME/VERSION` below `root`, in order.

    Versions are numbers; a folder of another name is still being written, or is none of ours.

    Raises:
        OSError: a folder cannot be listed.
    """
    names = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        f"{name.name}/{folder.name}": Stamp(_stamp(folder / GRAPH_FILE), _stamp(folder / MANIFEST_FILE))
        for name in names
        for folder in _versions(name)
    }


def _versions(name: Path) -> list[Path]:
    try:
        folders = [path for path in name.iterdir() if path.name.isascii() and path.name.isdecimal() and path.is_dir()]
    except FileNotFoundError:  # it has just gone
        return []
    return sorted(folders, key=lambda folder: int(folder.name))


def _stamp(path: Path) -> FileStamp:
    try:
        status = path.stat()
    except OSError:  # whoever loads it says why
        return FileStamp()
    return FileStamp(status.st_ino, status.st_size, status.st_mtime_ns)
