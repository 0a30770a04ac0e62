"""`models/NAME/VERSION/` on disk: written beside, then renamed into place; a version is never changed afterwards."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.manifest import GRAPH_FILE, MANIFEST_FILE, NAME_PATTERN, Manifest
from training.card import CARD_FILE, card
from training.export import ExportError


def check_name(name: str) -> None:
    """Raises ExportError where a model cannot have this name."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ExportError(f"expected a name of a-z, 0-9, - and _, received {name!r}")


def write_version(graph: bytes, models: Path, **declared: Any) -> Path:
    """Writes the graph, its manifest and its card as the model's next version; returns its folder.

    Args:
        graph: the serialized ONNX model.
        models: the folder of all models.
        declared: the fields of `Manifest` that this function does not know by itself.
    """
    target = models / declared["name"]
    manifest = Manifest(
        version=next_version(target),
        created=datetime.now(UTC).replace(microsecond=0),
        sha256=hashlib.sha256(graph).hexdigest(),
        **declared,
    )
    target.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=target))
    try:
        (staging / GRAPH_FILE).write_bytes(graph)
        (staging / MANIFEST_FILE).write_text(_text(manifest))
        (staging / CARD_FILE).write_text(card(manifest))
        staging.chmod(0o755)
        os.rename(staging, target / str(manifest.version))  # fails if another export took the version meanwhile
    except BaseException:
        shutil.rmtree(staging)
        raise
    return target / str(manifest.version)


def next_version(folder: Path) -> int:
    """One more than the highest version in a model's folder."""
    return 1 + max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=0)


def _text(manifest: Manifest) -> str:
    """JSON with a line for each field: readable, and its sequences do not run over pages."""
    fields = manifest.model_dump(mode="json").items()
    return "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in fields) + "\n}\n"
