"""How errors are answered: as application/problem+json (RFC 9457), those beneath /v2 as the Open Inference Protocol has
them. See errors.py for what can go wrong.
"""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import reading, wire
from service.errors import HttpError, Invalid, Problem
from service.methods import allowed
from service.telemetry.collect import Telemetry
from service.telemetry.requests import current


def as_problem(problem: dict[str, Any]) -> tuple[str, bytes]:
    """Media type and body of an error; see `Problem`."""
    return "application/problem+json", wire.dump(problem)


def as_infer_error(problem: dict[str, Any]) -> tuple[str, bytes]:
    """The same as the Open Inference Protocol has it; see `InferError`."""
    return "application/json", wire.dump({"error": problem["detail"]})


def answer_errors(app: FastAPI) -> None:
    """Has every error of the app answered, and counted by its `telemetry`."""
    telemetry: Telemetry = app.state.telemetry

    @app.exception_handler(HttpError)
    async def known(request: Request, error: HttpError) -> Response:
        telemetry.error(type(error).__name__, error.status)
        return _answer(request, error.problem(_id()), error.headers)

    @app.exception_handler(RequestValidationError)
    async def bad_parameter(request: Request, error: RequestValidationError) -> Response:
        return await known(request, Invalid([reading.parameter_fault(detail) for detail in error.errors()]))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        telemetry.error(type(error).__name__, error.status_code)
        detail = f"{request.method} {request.url.path}: {error.detail}; /docs lists what there is"
        headers = {"Allow": allowed(app, request.scope["path"])} if error.status_code == 405 else {}
        return _answer(request, _problem(error.status_code, str(error.detail), detail), headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        telemetry.error(type(error).__name__, 499)
        return Response(status_code=499)  # nobody will read it; nginx's number for a client that hung up

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        # Starlette raises the error again after this answer, and the server logs it with its trace.
        telemetry.error(type(error).__name__, 500)
        return _answer(request, _problem(500, "Internal Server Error", "the server failed; its log says how"))


def _problem(status: int, title: str, detail: str) -> dict[str, Any]:
    return Problem(title=title, status=status, detail=detail, request_id=_id()).model_dump()


def _answer(request: Request, problem: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    form = as_infer_error if f"{request.url.path}/".startswith("/v2/") else as_problem
    media_type, body = form(problem)
    return Response(body, problem["status"], headers, media_type)


def _id() -> str:
    """Of the request at hand."""
    id, _ = current.get()
    return id
