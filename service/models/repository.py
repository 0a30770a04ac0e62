"""The models being served: what is on disk, what is in memory, and how the one follows the other.

What changes, changes on the event loop, and `_routing` as a whole: so `loaded` may be called on any thread. A request
keeps the `Model` that it got; one that is replaced or unloaded is gone when the last request that has it is.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.errors import ModelError, NotFound, PinsError, ProviderUnavailable, StartupError, Unreadable
from service.manifest import DEFAULTS, RuntimeOptions
from service.models.folders import Stamp, scan
from service.models.loading import Model, load, read_manifest
from service.models.pins import Pins
from service.models.routing import Routing
from service.models.versions import Version
from service.settings import Provider

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pin:
    """What the file of pins says of a model, and why that cannot be."""

    name: str
    version: int
    fault: str | None


class Repository:
    """Every model under one folder. A broken one is reported, and never stops the others.

    Args:
        root: the folder of `NAME/VERSION/` folders.
        provider: see `Runtime`.
        options: see `load`.
        default: name of the model of requests that name none.
        lazy: loads a model when it is first asked for, not at the start.
        max_memory: bytes of models in memory, by `memory.estimate`; None for no bound.
        pins: the file of pins; None for none.
        expect: told the name and version of what is loaded.
        forget: told those of what is not served any more.

    Raises:
        StartupError: there is no such folder, it or the pins cannot be read, or there is no such default model in it.
        ProviderUnavailable: CUDA was demanded and is not there.
    """

    def __init__(
        self,
        root: Path,
        provider: Provider,
        options: RuntimeOptions = DEFAULTS,
        default: str | None = None,
        lazy: bool = False,
        max_memory: int | None = None,
        pins: Path | None = None,
        expect: Callable[[str, int], None] = lambda *_: None,
        forget: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self._root, self._provider, self._options = root, provider, options
        self._default, self.max_memory, self._expect, self._forget = default, max_memory, expect, forget
        self._versions: dict[str, Version] = {}
        self._pins: dict[str, int] = {}
        self._pins_file = Pins(pins) if pins else None
        self._pinning = asyncio.Lock()  # what was read before a pin was set must not take its place
        self._routing = Routing([], {}, default)
        self._loader = asyncio.Lock()
        self._start(lazy)

    @property
    def names(self) -> list[str]:
        """The names being served."""
        return self._routing.names

    @property
    def served(self) -> list[Version]:
        """Every version that requests may have, newest version of a model first."""
        return self._routing.served

    @property
    def coming(self) -> list[Version]:
        """What is being loaded and not served yet."""
        return [version for version in self._versions.values() if not version.served and version.loading is not None]

    @property
    def broken(self) -> list[Version]:
        """What cannot be served; its `fault` says why."""
        return [version for version in self._versions.values() if not version.served and version.fault is not None]

    @property
    def pins(self) -> list[Pin]:
        """Every pin, and what is wrong with it."""
        return [Pin(name, number, self._routing.faults.get(name)) for name, number in sorted(self._pins.items())]

    @property
    def memory(self) -> int:
        """Bytes of the models in memory, by `memory.estimate`."""
        return sum(version.memory for version in self._versions.values() if version.model is not None)

    def is_default(self, version: Version) -> bool:
        """Whether it answers the requests that name its model and no version."""
        return self._routing.is_default(version)

    def find(self, name: str | None, number: int | None) -> Version:
        """The version that a request gets; where it says no number the pinned one, or the newest.

        Raises:
            NotFound: there is no such model or version.
            Invalid: no name was given, and there is no default.
        """
        return self._routing.find(name, number)

    def loaded(self, name: str | None, number: int | None) -> Model | None:
        """The model of `find`; None where it is not in memory. May be called on any thread.

        Raises:
            NotFound: see `find`.
            Invalid: see `find`.
        """
        version = self._routing.find(name, number)
        version.used = time.monotonic()
        return version.model

    async def get(self, name: str | None, number: int | None) -> Model:
        """The model of `find`, loaded first where it has to be; does not suspend where it has not.

        Raises:
            NotFound: see `find`; or it could not be loaded, and is not served any more.
            Invalid: see `find`.
        """
        while (model := self.loaded(name, number)) is None:
            await self._load(self.find(name, number))
        return model

    def unload(self, name: str, number: int) -> None:
        """Drops a model from memory. It comes back when it is asked for.

        Raises:
            NotFound: see `find`.
        """
        self.find(name, number).model = None

    async def pin(self, name: str, number: int) -> None:
        """Has this version answer the requests that name none, once it is loaded.

        Raises:
            NotFound: see `get`.
            PinsError: it cannot be kept.
        """
        await self.get(name, number)
        await self._set_pin(name, number)

    async def unpin(self, name: str) -> None:
        """Has the newest version answer the requests that name none.

        Raises:
            NotFound: there is no such model, and no such pin.
            PinsError: it cannot be kept.
        """
        if name not in self._pins and name not in self.names:
            raise NotFound(f"expected a model out of {self.names}, received {name!r}")
        await self._set_pin(name, None)

    async def look(self) -> None:
        """Takes in the pins, and what has changed in the folder.

        A new version is served once it is loaded, and not before; a changed one likewise, and until then as it was. One
        that could not be read is tried again.

        Raises:
            OSError: the folder cannot be listed.
            PinsError: the pins cannot be read.
        """
        found = await asyncio.to_thread(scan, self._root)
        if self._pins_file is not None:  # first: a new version must not answer for a moment where another is pinned
            async with self._pinning:
                self._pins = await asyncio.to_thread(self._pins_file.read)
        for key, stamp in found.items():
            await self._look_at(key, stamp)
        for key in self._versions.keys() - found.keys():  # last: what came in their place is served by now
            self._remove(key)
        self._route()

    async def _look_at(self, key: str, stamp: Stamp) -> None:
        version = self._versions.get(key)
        if version is None:
            version = self._versions[key] = Version(key, self._root / key, stamp)
        elif version.stamp == stamp and not version.unreadable:
            return
        version.stamp = stamp
        if version.loading is not None:  # perhaps of what was there before
            await asyncio.shield(version.loading)
        await self._load(version)

    def _start(self, lazy: bool) -> None:
        """The first look, before there is an event loop and anybody who waits."""
        if not self._root.is_dir():
            raise StartupError(f"expected a folder of models at {self._root.absolute()}, found none")
        try:
            found = scan(self._root)
            self._pins = self._pins_file.read() if self._pins_file else {}
        except OSError as error:
            raise StartupError(f"expected a folder of models that this process may read: {error}") from error
        except PinsError as error:
            raise StartupError(str(error)) from error
        for key, stamp in found.items():
            self._trust(key, stamp)
        self._route()
        if not lazy:
            self._load_all()
        self._route()
        if not self.names:
            where = self._root.absolute()
            logger.warning("no model is served: expected folders NAME/VERSION/ with model.onnx in %s", where)
        if self._default is not None and self._default not in self.names:
            raise StartupError(f"expected a default model out of {self.names}, received {self._default!r}")

    def _trust(self, key: str, stamp: Stamp) -> None:
        """Serves a version for what its model.json says, until it is loaded."""
        version = self._versions[key] = Version(key, self._root / key, stamp)
        try:
            version.manifest = read_manifest(version.folder)
        except ModelError as error:
            self._refuse(version, error)

    def _load_all(self) -> None:
        """Loads as much as the bound on memory allows, and first what answers by default."""
        for version in sorted(self.served, key=lambda version: not self.is_default(version)):
            if self.max_memory is not None and self.memory + version.memory > self.max_memory:
                logger.info("model %s is loaded when it is asked for: there is no room for it now", version.key)
                continue
            try:
                self._take_in(version, load(version.folder, self._provider, self._options))
            except ModelError as error:
                self._refuse(version, error)

    async def _load(self, version: Version) -> None:
        """Loads what the folder holds now, or refuses it. One load serves all who wait, and outlives them."""
        if version.loading is None:
            version.loading = asyncio.create_task(self._load_on_thread(version))
        await asyncio.shield(version.loading)

    async def _load_on_thread(self, version: Version) -> None:
        try:
            async with self._loader:  # one at a time: each measures what its runs cost
                model = await asyncio.to_thread(load, version.folder, self._provider, self._options)
        except (ModelError, ProviderUnavailable) as error:
            self._refuse(version, error)
        else:
            self._take_in(version, model)
            logger.info("model %s is loaded", version.key)
        finally:
            version.loading = None
            self._route()

    def _take_in(self, version: Version, model: Model) -> None:
        """Serves the model as this version, and makes room for it."""
        version.manifest, version.model, version.fault, version.unreadable = model.manifest, model, None, False
        version.used = time.monotonic()
        self._expect(version.name, version.number)
        self._make_room(version)

    def _refuse(self, version: Version, error: Exception) -> None:
        """What is in memory of the version stays and is served."""
        known = version.unreadable and version.fault == str(error)  # from the look before
        version.fault, version.unreadable = str(error), isinstance(error, Unreadable)
        version.manifest = version.model.manifest if version.model else None
        what = "is served as it was before it changed" if version.served else "is not served"
        if not known:
            logger.error("model %s %s: %s", version.folder, what, error)

    def _make_room(self, newcomer: Version) -> None:
        """Unloads what was asked for least recently, until the models in memory are within the bound."""
        if self.max_memory is None:
            return
        for version in sorted(self._versions.values(), key=lambda version: version.used):
            if self.memory <= self.max_memory:
                return
            if version.model is not None and version is not newcomer and not self._is_kept(version):
                version.model = None
                logger.info("model %s is unloaded, to make room for %s", version.key, newcomer.key)
        if self.memory > self.max_memory:
            logger.warning(
                "expected models of %.1f MB at most in memory, found %.1f MB pinned or in use",
                self.max_memory / 1e6,
                self.memory / 1e6,
            )

    def _is_kept(self, version: Version) -> bool:
        return version.in_use or self._pins.get(version.name) == version.number

    def _remove(self, key: str) -> None:
        """The folder is gone."""
        version = self._versions.pop(key)
        if version.served:
            self._forget(version.name, version.number)
        logger.info("model %s is gone", key)

    async def _set_pin(self, name: str, number: int | None) -> None:
        if self._pins_file is None:
            raise PinsError("expected a file to keep pins in, found none")
        async with self._pinning:
            self._pins = await asyncio.to_thread(self._pins_file.set, name, number)
        self._route()

    def _route(self) -> None:
        """Decides anew which version answers which request."""
        before = self._routing.faults
        self._routing = Routing(self._versions.values(), self._pins, self._default)
        for name, fault in self._routing.faults.items():
            if before.get(name) != fault:
                logger.error("pin of model %s: %s", name, fault)
