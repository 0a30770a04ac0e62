"""Query parameters that a route does not have are refused: a filter that is misspelt would let everything pass."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from service import reading
from service.errors import Fault, Invalid

LONGEST = 60  # characters of a parameter's name that are shown


def refuse_unknown(request: Request) -> None:
    """A dependency of routes that declare their parameters.

    Raises:
        Invalid: there is a parameter that the route does not declare, or one twice.
    """
    route: APIRoute = request.scope["route"]
    fields = [field for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)]
    known = sorted(field.alias for field in fields)
    query = request.query_params
    faults = [_unknown(name, query[name], known) for name in query if name not in known]
    faults += [_fault(name, "one value", f"{count}") for name in known if (count := len(query.getlist(name))) > 1]
    if faults:
        raise Invalid(faults)


def refuse_all(request: Request, why: str) -> None:
    """Of a request that has no query.

    Args:
        why: it has none; goes on from "expected none".

    Raises:
        Invalid: there is a parameter.
    """
    if query := request.query_params:
        raise Invalid([_fault(name, f"none {why}", reading.describe(query[name])) for name in query])


def _unknown(name: str, value: str, known: list[str]) -> Fault:
    there = f"the parameters are {', '.join(known)}" if known else "there are none"
    return _fault(name, f"no such parameter ({there})", reading.describe(value))


def _fault(name: str, expected: str, received: str) -> Fault:
    return Fault(pointer=f"the query parameter {name[:LONGEST]}", expected=expected, received=received)
