"""Everything that can go wrong, and the HTTP answer it becomes.

ServiceError
├── StartupError             the server cannot start: printed, exit status 1
│   └── ProviderUnavailable
├── PinsError                the file of pins cannot be read or written
├── ModelError               a model folder cannot be served: logged, shown in GET /models, never raised to a caller
│   └── Unreadable           the system does not let its files be read, which may pass
└── HttpError                an answer, application/problem+json (RFC 9457)
    ├── NotJson               400
    ├── NotFound              404
    ├── Conflict              409
    ├── TooLarge              413
    ├── UnsupportedMediaType  415
    ├── Invalid               422  with a JSON pointer to each fault
    ├── TooMany               429  with Retry-After
    ├── Failed                500  the model failed on these sequences
    ├── Unavailable           503
    │   ├── Draining              with Retry-After
    │   └── StoreFailed           with Retry-After
    └── TooLate               504  not answered before the deadline
"""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Self

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """One thing wrong with a request: where, what was expected, what was received."""

    pointer: str = Field(examples=["/sequences/3/17/1"], description="JSON pointer into the body, or the parameter")
    expected: str = Field(examples=["a finite number"])
    received: str = Field(examples=["NaN"])


class Problem(BaseModel):
    """An error as this server answers it (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["/sequences/3/17/1: expected a finite number, received NaN"])
    errors: list[Fault] = Field(default=[], description="every fault found, at most ten")
    request_id: str = Field(description="the answer's X-Request-Id; the server's log has it, too")


class ServiceError(Exception):
    """Base of every error this package raises on purpose; its text is written for the reader."""


class StartupError(ServiceError):
    """The server cannot start as configured."""


class ProviderUnavailable(StartupError):
    """The execution provider that was asked for is not there."""


class ModelError(ServiceError):
    """A model folder cannot be served."""


class Unreadable(ModelError):
    """The files of a model cannot be read now; what is in them may be good."""


class PinsError(ServiceError):
    """The file of pins cannot be read or written."""


class HttpError(ServiceError):
    """Base of the errors that are answers."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.faults = list(faults)

    @property
    def headers(self) -> dict[str, str]:
        """More headers of the answer."""
        return {}

    def problem(self, request_id: str) -> dict[str, Any]:
        """The body of the answer to the request with that id."""
        title = TITLES.get(self.status, self.status.phrase)
        problem = Problem(title=title, status=self.status, detail=str(self), errors=self.faults, request_id=request_id)
        return problem.model_dump()


class NotJson(HttpError):
    """The body is not JSON."""

    status = HTTPStatus.BAD_REQUEST


class NotFound(HttpError):
    """No such model, version or explanation."""

    status = HTTPStatus.NOT_FOUND


class Conflict(HttpError):
    """What is asked for is of something that is not there any more as it was."""

    status = HTTPStatus.CONFLICT


class TooLarge(HttpError):
    """The body is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(HttpError):
    """The body is not of a type this server reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Invalid(HttpError):
    """The body is JSON but not a request; every fault says where."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    shown = 10

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        detail = f"{first.pointer or 'the body'}: expected {first.expected}, received {first.received}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(detail + more, faults[: self.shown])

    @classmethod
    def at(cls, pointer: str, expected: str, received: str) -> Self:
        """One fault; see `Fault`."""
        return cls([Fault(pointer=pointer, expected=expected, received=received)])


class TooMany(HttpError):
    """Too much waits already."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, retry_after: float) -> None:
        """retry_after: seconds that what waits will take."""
        self.retry_after = math.ceil(retry_after)
        super().__init__(
            f"expected less work at a time: {retry_after:.2g} s of it are waiting; try again in {self.retry_after} s"
        )

    @property
    def headers(self) -> dict[str, str]:
        """See `HttpError.headers`."""
        return {"Retry-After": str(self.retry_after)}


class Failed(HttpError):
    """The model failed on what it was given."""


class Unavailable(HttpError):
    """The server cannot do it now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Draining(Unavailable):
    """The server has been told to stop."""

    @property
    def headers(self) -> dict[str, str]:
        """See `HttpError.headers`. It may be back by then."""
        return {"Retry-After": "10"}


class StoreFailed(Unavailable):
    """The store of explanations failed. The log says how: where the store is, clients are not told."""

    told = "the store of explanations failed; the server's log says how"

    def __init__(self) -> None:
        super().__init__(self.told)

    @property
    def headers(self) -> dict[str, str]:
        """See `HttpError.headers`. The server looks for it twice a second."""
        return {"Retry-After": "1"}


class TooLate(HttpError):
    """The deadline of the request has passed."""

    status = HTTPStatus.GATEWAY_TIMEOUT


# RFC 9110 renamed two; Python 3.13 has the new names, 3.11 the old.
TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
