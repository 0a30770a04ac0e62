"""The HTTP routes. Each translates between HTTP and the objects that do the work, and decides nothing else."""

from typing import Any

from service.errors import Problem


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for /docs."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {status: {"content": {"application/problem+json": {"schema": schema}}} for status in statuses}
