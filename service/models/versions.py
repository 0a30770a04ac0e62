"""One `NAME/VERSION/` as the server knows it: found, loaded, unloaded, refused."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from service.manifest import Manifest
from service.models import memory
from service.models.folders import Stamp
from service.models.loading import Model
from service.schemas.models import State


@dataclass(eq=False, slots=True)
class Version:
    """What there is to know about one version.

    Attributes:
        key: `NAME/VERSION`, its folder below that of all models.
        stamp: of the content that was last looked at.
        manifest: of what requests may have, which is loaded, or loaded when they come; None where they may have none.
        model: None where it is not loaded.
        fault: why its present content is not served.
        unreadable: whether that is since it could not be read, which may pass without a change of `stamp`.
        used: when it was last asked for, by `time.monotonic`.
        loading: under way; several may wait for it.
    """

    key: str
    folder: Path
    stamp: Stamp
    manifest: Manifest | None = None
    model: Model | None = None
    fault: str | None = None
    unreadable: bool = False
    used: float = 0.0
    loading: asyncio.Task[None] | None = None

    @property
    def served(self) -> bool:
        """Whether requests may have it."""
        return self.manifest is not None

    @property
    def name(self) -> str:
        """Of its model."""
        return self.folder.parent.name

    @property
    def number(self) -> int:
        """Its number."""
        return int(self.folder.name)

    @property
    def state(self) -> State:
        """Whether it is in memory."""
        if self.model is not None:
            return "loaded"
        return "loading" if self.loading is not None else "not loaded"

    @property
    def memory(self) -> int:
        """Bytes that it takes when it is loaded; see `memory.estimate`."""
        return memory.estimate(self.stamp.graph.size)

    @property
    def in_use(self) -> bool:
        """Whether a request has its model: someone beside this object, and the question, refers to it."""
        return self.model is not None and sys.getrefcount(self.model) > 2
