"""The HTTP routes. Each translates between HTTP and the objects that do the work, and decides nothing else."""

from typing import Any

from pydantic import BaseModel

from service.errors import Problem


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for /docs."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {status: {"content": {"application/problem+json": {"schema": schema}}} for status in statuses}


def json_body(kind: type[BaseModel], required: bool = True, example: object = None) -> dict[str, Any]:
    """A body that a route reads by hand, for /docs; see `READ_BY_HAND` in openapi.py.

    By hand it is read within bounds, whatever Content-Type clients send, and faults have JSON pointers.
    """
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}
    if example is not None:
        content["example"] = example
    return {"requestBody": {"required": required, "content": {"application/json": content}}}
