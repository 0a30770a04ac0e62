"""A client of the server, sync and async, on httpx alone (`pip install '.[client]'`).

    from service.client import Client

    with Client("http://127.0.0.1:8000") as client:
        answer = client.predict(sequences, model="planted-before")
        client.explanation(answer.id)  # a notebook draws it

Sequences are lists or arrays `(time, feature)`, or `(time,)` of models with one feature, or texts; an array `(sequence,
time, feature)`; or a DataFrame (pandas, polars): a long one with columns id, time and those of the features, or a wide
one, whose columns but id are the steps of one feature. Every error is an `AttentionError`.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Self, TypeVar

import httpx

BUSY = {429, 503}  # it may go well a little later
FIRST_PAUSE_S = 0.5  # where the server does not say how long; doubled every time
T = TypeVar("T", bound="Answer")


class AttentionError(Exception):
    """The server did not do what it was asked; the fields are those of its problem+json.

    Attributes:
        status: of HTTP; None where there was no answer.
        title: of the status.
        errors: `{"pointer", "expected", "received"}` of every fault.
        request_id: the server's log has it, too.
    """

    def __init__(
        self,
        detail: str,
        status: int | None = None,
        title: str = "",
        errors: list[dict[str, str]] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail if status is None else f"{status} {title}: {detail}")
        self.detail, self.status, self.title = detail, status, title
        self.errors, self.request_id = errors or [], request_id


@dataclass(frozen=True)
class Answer:
    """Base of what the server answers.

    Attributes:
        raw: all of it, as parsed from JSON.
    """

    raw: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls: type[T], raw: dict[str, Any], **more: Any) -> T:
        """The fields that this version of the client knows."""
        known = {each.name for each in fields(cls)}
        return cls(raw=raw, **{name: value for name, value in raw.items() if name in known} | more)


@dataclass(frozen=True)
class Prediction(Answer):
    """The answer to `predict`, one entry for each sequence.

    Attributes:
        id: of the explanation that was kept; None where none was.
        predictions: probability of the second label, or of each, or values, or texts.
        attention: weights of each sequence, for every step; None from a model without attention.
        labels: the most probable ones, of models that have labels.
        top: steps of largest weight, with `top_k`.
        ids: of the sequences, where a DataFrame has them.
    """

    id: str | None
    model: str
    version: int
    predictions: list[Any]
    attention: list[Any] | None
    labels: list[str] | None = None
    top: list[Any] | None = None
    ids: list[Any] | None = None


@dataclass(frozen=True)
class Entry(Answer):
    """An explanation in a list; `client.explanation(entry.id)` is the whole."""

    id: str
    created: str
    model: str
    version: int
    labels: list[str]


@dataclass(frozen=True)
class Faithfulness(Answer):
    """An explanation put to the test: the verdict, the reason for it, and in `raw` all numbers."""

    id: str
    sequence: int
    verdict: str
    reason: str


@dataclass(frozen=True)
class BaseExplanation(Answer):
    """A kept explanation. In a notebook it draws its first sequence, with a request that waits for its answer.

    Attributes:
        features: names, in the order of the values.
        classes: labels, in the order of the predictions.
        sequences: of each `sequence`, `prediction`, `label`, `attention`, `top` and `concentration`.
    """

    id: str
    created: str
    model: str
    version: int
    task: str
    features: list[str]
    classes: list[str]
    sequences: list[dict[str, Any]]
    _client: Any = field(repr=False)

    def _repr_svg_(self) -> str:
        drawn: str = self._client.draw(self.id)
        return drawn


class Explanation(BaseExplanation):
    """See `BaseExplanation`."""

    def svg(self, sequence: int = 0, **options: str) -> str:
        """The picture of one of its sequences; options: theme, method."""
        drawn: str = self._client.draw(self.id, sequence=sequence, **options)
        return drawn

    def faithfulness(self, sequence: int = 0, baseline: str | None = None) -> Faithfulness:
        """May the weights be believed? See GET /attention/{id}/faithfulness."""
        found: Faithfulness = self._client.faithfulness(self.id, sequence, baseline)
        return found


class AsyncExplanation(BaseExplanation):
    """See `BaseExplanation`."""

    async def svg(self, sequence: int = 0, **options: str) -> str:
        """The picture of one of its sequences; options: theme, method."""
        return str((await self._client.get(f"/attention/{self.id}.svg", sequence=sequence, **options)).text)

    async def faithfulness(self, sequence: int = 0, baseline: str | None = None) -> Faithfulness:
        """May the weights be believed? See GET /attention/{id}/faithfulness."""
        found: Faithfulness = await self._client.faithfulness(self.id, sequence, baseline)
        return found


class Base:
    """What both clients share.

    Args:
        url: of the server.
        headers: of every request.
        timeout: seconds for an answer.
        retries: how often a request is sent again that the server was too busy for (429, 503), or did not get.
        longest_pause: seconds that are waited before; an answer that asks for more is an error at once.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        longest_pause: float = 30.0,
    ) -> None:
        self._options: dict[str, Any] = {"base_url": url, "headers": headers, "timeout": timeout}
        self._retries, self._longest_pause = retries, longest_pause

    def _pause(self, attempt: int, found: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until a request is sent again; None where it is not.

        Those who were refused together do not come back together: up to a quarter more, by chance.
        """
        if isinstance(found, httpx.Response) and found.status_code not in BUSY:
            return None
        if isinstance(found, httpx.TransportError) and not isinstance(found, httpx.ConnectError):
            return None  # the server may be at it already
        asked = retry_after(found) if isinstance(found, httpx.Response) else None
        pause = FIRST_PAUSE_S * 2**attempt if asked is None else asked
        if attempt >= self._retries or pause > self._longest_pause:
            return None
        return pause * (1 + random.random() / 4)  # noqa: S311


class Client(Base):
    """Asks the server and waits; see `Base` for the arguments. Several threads may use one."""

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def predict(
        self, sequences: Any, model: str | None = None, *, id: str = "id", time: str = "time", **options: Any
    ) -> Prediction:
        """Predictions with their reasons.

        Args:
            sequences: see the top of this file.
            model: name of the model; not needed where only one is served, but for a long DataFrame.
            id, time: columns of a DataFrame.
            options: other fields of POST /predict: version, attention, top_k, beam, store, priority, deadline,
                faithfulness.
        """
        features = self.features(model, options.get("version")) if is_long(sequences, time) else []
        ids, nested = to_lists(sequences, features, id, time)
        with saying_layout(sequences, time):
            answer = self.request("POST", "/predict", content=body(nested, model, options), headers=JSON)
        return Prediction.read(answer.json(), ids=ids)

    def explanation(self, id: str) -> Explanation:
        """A kept explanation."""
        return Explanation.read(self.get(f"/attention/{id}").json(), _client=self)

    def explanations(self, **filters: Any) -> Iterator[Entry]:
        """Kept explanations, the newest first; filters: model, version, label, since, until, and limit, of a page."""
        cursor: str | None = None
        while True:
            page = self.get("/attention", cursor=cursor, **filters).json()
            yield from map(Entry.read, page["explanations"])
            if (cursor := page["next"]) is None:
                return

    def faithfulness(self, id: str, sequence: int = 0, baseline: str | None = None) -> Faithfulness:
        """An explanation put to the test."""
        return Faithfulness.read(self.get(f"/attention/{id}/faithfulness", sequence=sequence, baseline=baseline).json())

    def draw(self, id: str, **options: Any) -> str:
        """The picture of an explanation, SVG; options: sequence, theme, method."""
        return self.get(f"/attention/{id}.svg", **options).text

    def delete(self, id: str) -> None:
        """Forgets an explanation."""
        self.request("DELETE", f"/attention/{id}")

    def models(self) -> list[dict[str, Any]]:
        """The models that are served; `manifest` of each is its model.json."""
        found: list[dict[str, Any]] = self.get("/models").json()["models"]
        return found

    def features(self, model: str | None, version: int | None = None) -> list[str]:
        """Names of a model's features, in its order."""
        return features_of(self.models(), model, version)

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET; what is None is left out of the query."""
        return self.request("GET", path, params=filled(query))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, sent again while the server is too busy.

        Raises:
            AttentionError: it failed.
        """
        for attempt in range(self._retries + 1):
            found = self._send(method, path, **options)
            pause = self._pause(attempt, found)
            if pause is None:
                break
            time.sleep(pause)
        return checked(found)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            return error


class AsyncClient(Base):
    """Asks the server and lets others go on meanwhile; see `Client` for what the methods do."""

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._http.aclose()

    async def predict(
        self, sequences: Any, model: str | None = None, *, id: str = "id", time: str = "time", **options: Any
    ) -> Prediction:
        """See `Client.predict`."""
        features = await self.features(model, options.get("version")) if is_long(sequences, time) else []
        ids, nested = to_lists(sequences, features, id, time)
        with saying_layout(sequences, time):
            answer = await self.request("POST", "/predict", content=body(nested, model, options), headers=JSON)
        return Prediction.read(answer.json(), ids=ids)

    async def explanation(self, id: str) -> AsyncExplanation:
        """See `Client.explanation`."""
        return AsyncExplanation.read((await self.get(f"/attention/{id}")).json(), _client=self)

    async def explanations(self, **filters: Any) -> AsyncIterator[Entry]:
        """See `Client.explanations`."""
        cursor: str | None = None
        while True:
            page = (await self.get("/attention", cursor=cursor, **filters)).json()
            for raw in page["explanations"]:
                yield Entry.read(raw)
            if (cursor := page["next"]) is None:
                return

    async def faithfulness(self, id: str, sequence: int = 0, baseline: str | None = None) -> Faithfulness:
        """See `Client.faithfulness`."""
        found = await self.get(f"/attention/{id}/faithfulness", sequence=sequence, baseline=baseline)
        return Faithfulness.read(found.json())

    def draw(self, id: str, **options: Any) -> str:
        """See `Client.draw`. This one waits: a notebook draws without `await`."""
        with httpx.Client(**self._options) as http:
            return checked(http.get(f"/attention/{id}.svg", params=filled(options))).text

    async def delete(self, id: str) -> None:
        """See `Client.delete`."""
        await self.request("DELETE", f"/attention/{id}")

    async def models(self) -> list[dict[str, Any]]:
        """See `Client.models`."""
        found: list[dict[str, Any]] = (await self.get("/models")).json()["models"]
        return found

    async def features(self, model: str | None, version: int | None = None) -> list[str]:
        """See `Client.features`."""
        return features_of(await self.models(), model, version)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        """See `Client.get`."""
        return await self.request("GET", path, params=filled(query))

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """See `Client.request`."""
        for attempt in range(self._retries + 1):
            found = await self._send(method, path, **options)
            pause = self._pause(attempt, found)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return checked(found)

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response | httpx.TransportError:
        try:
            return await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            return error


JSON = {"Content-Type": "application/json"}


def checked(found: httpx.Response | httpx.TransportError) -> httpx.Response:
    """An answer that is none of an error.

    Raises:
        AttentionError: it is one, or there is none.
    """
    if isinstance(found, httpx.TransportError):
        raise AttentionError(f"expected an answer from the server, received {found or type(found).__name__}") from found
    if found.is_success:
        return found
    try:
        problem = found.json()
        detail, title, errors = problem["detail"], problem["title"], problem["errors"]
    except (ValueError, TypeError, KeyError):  # of a proxy, say
        detail, title, errors = found.text[:300], found.reason_phrase, []
    raise AttentionError(detail, found.status_code, title, errors, found.headers.get("X-Request-Id"))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait; None where it does not say."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def body(sequences: Any, model: str | None, options: dict[str, Any]) -> bytes:
    """A request of POST /predict. What is no number is said by the server, with its place."""
    return json.dumps(filled({"sequences": sequences, "model": model, **options}), default=_to_list).encode()


def _to_list(array: Any) -> Any:
    """An array or a number of NumPy."""
    if not hasattr(array, "tolist"):
        raise TypeError(f"expected numbers, lists, arrays or texts, received {type(array).__name__}")
    return array.tolist()


def filled(query: dict[str, Any]) -> dict[str, Any]:
    """What is not None."""
    return {name: value for name, value in query.items() if value is not None}


def is_table(sequences: Any) -> bool:
    """Whether it is a DataFrame."""
    return hasattr(sequences, "columns")


def is_long(sequences: Any, time: str) -> bool:
    """Whether it is a DataFrame with a row for each time step."""
    return is_table(sequences) and time in sequences.columns


@contextmanager
def saying_layout(sequences: Any, time: str) -> Iterator[None]:
    """Adds to what the server finds wrong with a wide DataFrame that it was taken for one."""
    try:
        yield
    except AttentionError as error:
        if error.status != 422 or not is_table(sequences) or is_long(sequences, time):
            raise
        detail = f"{error.detail}; no column {time} (time= names another): every row was taken for a sequence"
        raise AttentionError(detail, error.status, error.title, error.errors, error.request_id) from None


def to_lists(sequences: Any, features: list[str], id: str, time: str) -> tuple[list[Any] | None, Any]:
    """Ids and sequences, as JSON has them.

    Args:
        features: columns of a long DataFrame, in the order of the model.
        id, time: columns of a DataFrame.
    """
    if not is_table(sequences):
        return None, sequences
    columns = {name: list(sequences[name]) for name in sequences.columns}
    received = ", ".join(map(str, columns))
    if not is_long(sequences, time):
        ids = columns.pop(id, None)
        first = [value for values in columns.values() for value in values[:1]]
        if len(first) > 1 and any(isinstance(value, str | date) for value in first):  # ids and times, and no steps
            raise AttentionError(f"expected columns {id} and {time} (id= and time= name others), received {received}")
        return ids, [list(row) for row in zip(*columns.values(), strict=True)]
    for name in (id, *features):
        if name not in columns:
            hint = " (id= names another)" if name == id else ""
            raise AttentionError(f"expected a column {name}{hint}, received {received}")
    rows: dict[Any, list[tuple[Any, list[Any]]]] = {}
    values = zip(*(columns[name] for name in features), strict=True)
    for name, moment, step in zip(columns[id], columns[time], values, strict=True):
        rows.setdefault(name, []).append((moment, list(step)))
    steps = [[step for _, step in sorted(each, key=lambda row: row[0])] for each in rows.values()]
    return list(rows), steps


def features_of(models: list[dict[str, Any]], model: str | None, version: int | None) -> list[str]:
    """Names of the features of one of the models that are served.

    Raises:
        AttentionError: it is not served, or none is named and there are several.
    """
    names = sorted({each["manifest"]["name"] for each in models})
    name = names[0] if model is None and len(names) == 1 else model
    for each in models:
        manifest = each["manifest"]
        if manifest["name"] == name and (each["default"] if version is None else manifest["version"] == version):
            found: list[str] = manifest["features"]
            return found
    raise AttentionError(f"expected a model out of {', '.join(names)}, received {model} {version or ''}".rstrip())
