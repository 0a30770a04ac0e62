"""Which version of which model answers a request: the newest, unless another is pinned."""

from collections.abc import Iterable, Mapping

from service.errors import Invalid, NotFound
from service.models.versions import Version


class Routing:
    """A table of what is served at a time. It does not change; another takes its place.

    Args:
        versions: all there are; requests may have those that are `served`.
        pins: the version of each pinned model.
        default: name of the model of requests that name none; without it, the only model there is.

    Attributes:
        served: the versions, newest version of a model first.
        names: of the models.
        faults: of the pins that cannot be kept, by model.
    """

    def __init__(self, versions: Iterable[Version], pins: Mapping[str, int], default: str | None) -> None:
        every = sorted(versions, key=lambda version: (version.name, -version.number))
        self.served = [version for version in every if version.served]
        self._refused = [version for version in every if not version.served and version.fault is not None]
        self.names = sorted({version.name for version in self.served})
        self.faults: dict[str, str] = {}
        self._default = default or (self.names[0] if len(self.names) == 1 else None)
        self._table: dict[tuple[str | None, int | None], Version] = {}
        for version in self.served:
            self._table[version.name, version.number] = version
            self._table.setdefault((version.name, None), version)  # the newest comes first
        for name, number in pins.items():
            self._pin(name, number)
        of_default = [(number, version) for (name, number), version in self._table.items() if name == self._default]
        self._table |= {(None, number): version for number, version in of_default}

    def find(self, name: str | None, number: int | None) -> Version:
        """The version that a request gets.

        Raises:
            NotFound: there is no such model or version.
            Invalid: no name was given, and there is no default.
        """
        found = self._table.get((name or None, number))
        if found is not None:
            return found
        name = name or self._default
        if name is None:
            expected = f"the name of a model, one of {', '.join(self.names) or '(none is served)'}"
            raise Invalid.at("/model", expected, "nothing")
        why = self._why(name, number)
        if name not in self.names:
            raise NotFound(f"expected a model out of {self.names}, received {name!r:.60}{why}")
        numbers = sorted(version.number for version in self.served if version.name == name)
        raise NotFound(f"expected a version of {name} out of {numbers}, received {number}{why}")

    def is_default(self, version: Version) -> bool:
        """Whether it answers the requests that name its model and no version."""
        return self._table.get((version.name, None)) is version

    def _why(self, name: str, number: int | None) -> str:
        """What is wrong with the version that was asked for, if it is there and refused."""
        refused = (one for one in self._refused if one.name == name and number in (None, one.number))
        return next((f"; {one.key} is there, but cannot be served: {one.fault}" for one in refused), "")

    def _pin(self, name: str, number: int) -> None:
        pinned, newest = self._table.get((name, number)), self._table.get((name, None))
        if pinned is not None:
            self._table[name, None] = pinned
            return
        instead = f"version {newest.number}, the newest, answers instead" if newest else "none answers"
        self.faults[name] = f"expected a version {number} of {name} that can be served, found none; {instead}"
