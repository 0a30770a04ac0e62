"""The formats of requests that take the fast path: how a body is read, and the form of its answer. See protocol.py."""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol
from urllib.parse import parse_qsl

from service import reading
from service.npy.requests import JSON, NPY, wanted
from service.npy.requests import read as read_arrays
from service.open_inference.answers import Answer
from service.open_inference.requests import read as read_tensors
from service.predictor import Prediction, Predictor
from service.problems import as_infer_error, as_problem
from service.schemas.predict import PredictRequest
from service.settings import Settings

INFER = re.compile(rb"/v2/models/([a-z0-9_-]+)(?:/versions/(\d{1,9}))?/infer").fullmatch
ROUTE, VERSION_ROUTE = "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"
PREDICT = b"/predict"


class BodyFormat(Protocol):
    """How a request is read, and its answer written.

    Attributes:
        route: template of its path, by which it is counted.
    """

    route: str

    def for_next_request(self) -> "BodyFormat":
        """The same for another request with the same head."""

    def read(self, body: bytes) -> Prediction:
        """See `Predictor.read`."""

    def head(self) -> bytes:
        """The headers that say what the answer is; asked for once it is there."""

    def problem(self, problem: dict[str, Any]) -> tuple[str, bytes]:
        """Media type and body of an error; see `problems.py`."""


class Plain:
    """JSON in, JSON out."""

    route = "/predict"

    def __init__(self, predictor: Predictor) -> None:
        self.read = predictor.read

    def for_next_request(self) -> BodyFormat:
        """See `BodyFormat`."""
        return self

    def head(self) -> bytes:
        """See `BodyFormat`."""
        return b"content-type: application/json\r\n"

    def problem(self, problem: dict[str, Any]) -> tuple[str, bytes]:
        """See `BodyFormat`."""
        return as_problem(problem)


class Arrays(Plain):
    """A NumPy array in."""

    def __init__(self, predictor: Predictor, settings: Settings, query: bytes, accept: bytes) -> None:
        self._predictor, self._settings, self._query, self._type = predictor, settings, query, _wanted(accept)

    def read(self, body: bytes) -> Prediction:
        """See `BodyFormat`."""
        return read_arrays(self._predictor, self._settings, _fields(self._query), body, NPY, self._type)

    def head(self) -> bytes:
        """See `BodyFormat`."""
        return b"content-type: %s\r\n" % self._type.encode()


class Tensors:
    """The Open Inference Protocol.

    Args:
        read: reads a body, given what is to be told what is wanted of the answer.
    """

    __slots__ = ("_answer", "_read", "route")

    def __init__(self, read: Callable[[bytes, Answer], Prediction], route: str) -> None:
        self._read, self.route, self._answer = read, route, Answer()

    def for_next_request(self) -> BodyFormat:
        """See `BodyFormat`: what is wanted of the answer is each request's own."""
        return Tensors(self._read, self.route)

    def read(self, body: bytes) -> Prediction:
        """See `BodyFormat`."""
        return self._read(body, self._answer)

    def head(self) -> bytes:
        """See `BodyFormat`."""
        if self._answer.header_length is None:
            return b"content-type: application/json\r\n"
        length = b"inference-header-content-length: %d\r\n" % self._answer.header_length
        return b"content-type: application/octet-stream\r\n" + length

    def problem(self, problem: dict[str, Any]) -> tuple[str, bytes]:
        """See `BodyFormat`."""
        return as_infer_error(problem)


def find(
    predictor: Predictor, settings: Settings, url: bytes, media_type: bytes, accept: bytes, length: bytes | None
) -> BodyFormat | None:
    """What a POST with these headers is for, other than `Plain`; None where it is for FastAPI.

    Args:
        length: the header Inference-Header-Content-Length.
    """
    if (found := INFER(url)) is not None and length != b"":
        name, version = found.groups()
        known = (predictor, settings, name.decode(), int(version) if version else None)
        read = partial(read_tensors, *known, length.decode("latin-1") if length else None)
        return Tensors(read, VERSION_ROUTE if version else ROUTE)
    path, _, query = url.partition(b"?")
    if path == PREDICT and media_type == NPY.encode():
        return Arrays(predictor, settings, query, accept)
    return None


@lru_cache(64)
def _wanted(accept: bytes) -> str:
    return wanted(accept.decode("latin-1")) if accept else JSON


@lru_cache(64)
def _fields(query: bytes) -> PredictRequest:
    return reading.read_query(dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))
