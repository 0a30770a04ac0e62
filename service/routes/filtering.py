"""Which explanations a request is about: the query parameters of lists, summaries and exports."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from service.explanations.stores.store import Filter

Model = Annotated[str | None, Query(min_length=1, description="only of this model")]
Version = Annotated[int | None, Query(ge=1, description="only of this version", le=2**31)]
Label = Annotated[str | None, Query(min_length=1, description="only where some sequence was given this label")]
Since = Annotated[datetime | None, Query(description="only made at or after this time (UTC if it does not say)")]
Until = Annotated[datetime | None, Query(description="only made before this time (UTC if it does not say)")]


def in_utc(time: datetime | None) -> datetime | None:
    """The time; in UTC if it does not say."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def read_filter(
    model: Model = None, version: Version = None, label: Label = None, since: Since = None, until: Until = None
) -> Filter:
    """What the query says."""
    return Filter(model=model, version=version, label=label, since=in_utc(since), until=in_utc(until))


FilterDep = Annotated[Filter, Depends(read_filter)]
