"""Which explanations a request is about: the query parameters of lists, summaries, exports and deletions."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.explanations.stores.store import Filter

EXPECTED = "a date, or a date with a time, as ISO 8601 writes them (2026-11-01, 2026-11-01T07:30:00Z)"
plus_lost = re.compile(r"(.+:.+) (\d\d:\d\d)").fullmatch  # a plus in a query stands for a space


def read_time(value: Any) -> datetime:
    """A query parameter that is a time; in UTC where it does not say.

    A number is none: nobody can see whether 20261101 is a day or seconds.
    """
    text = str(value)
    if found := plus_lost(text):
        text = "+".join(found.groups())
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or text.isdecimal():
        raise PydanticCustomError("time", EXPECTED)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


Time = Annotated[datetime, PlainValidator(read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Model = Annotated[str | None, Query(min_length=1, description="only of this model")]
Version = Annotated[int | None, Query(ge=1, description="only of this version", le=2**31)]
Label = Annotated[str | None, Query(min_length=1, description="only where some sequence was given this label")]
Sequence = Annotated[
    str | None,
    Query(pattern="^[0-9a-f]{64}$", description="only of this sequence, by the `hash` that explanations give it"),
]
Since = Annotated[Time | None, Query(description="only made at or after this time (UTC if it does not say)")]
Until = Annotated[Time | None, Query(description="only made before this time (UTC if it does not say)")]
Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]


def read_filter(
    model: Model = None, version: Version = None, label: Label = None, since: Since = None, until: Until = None
) -> Filter:
    """What the query says."""
    return Filter(model=model, version=version, label=label, since=since, until=until)


FilterDep = Annotated[Filter, Depends(read_filter)]


def read_filter_by_sequence(filter: FilterDep, sequence: Sequence = None) -> Filter:
    """What the query says, of lists and deletions."""
    return replace(filter, sequence=sequence)


SequenceFilterDep = Annotated[Filter, Depends(read_filter_by_sequence)]
