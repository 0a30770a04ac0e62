"""GET /attention/export.csv, .parquet and .npz: kept explanations as a file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import StringConvertor, register_url_convertor

from service.errors import Invalid, NotFound
from service.explanations import export
from service.explanations.record import Explanation
from service.explanations.stores.store import Filter, Store
from service.routes import problems
from service.routes.filtering import Label, Since, Until, Version
from service.routes.finding import StoreDep, ask_store, read_pages

router = APIRouter(tags=["attention"])
Format = Literal["csv", "parquet", "npz"]
TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/x-npz",
}
NPZ_VALUES = 32_000_000  # of an .npz, padding and all, which is made as a whole


class FileSuffix(StringConvertor):
    """The formats as the end of a path."""

    regex = r"csv|parquet|npz"


register_url_convertor("file", FileSuffix())


def read_filter(
    model: Annotated[str, Query(min_length=1, description="of this model")],
    version: Version = None,
    label: Label = None,
    since: Since = None,
    until: Until = None,
) -> Filter:
    """What the query says; a file has one model's features for columns."""
    return Filter(model=model, version=version, label=label, since=since, until=until)


@router.get(
    "/attention/export.{format:file}",
    summary="Kept explanations as a file",
    response_class=Response,
    responses={200: {"content": {kind.split(";")[0]: {} for kind in TYPES.values()}}, **problems(404, 422, 503)},
)
async def export_explanations(
    format: Annotated[Format, Path()],
    store: StoreDep,
    filter: Annotated[Filter, Depends(read_filter)],
    limit: Annotated[int, Query(ge=1, le=100_000, description="the newest explanations, at most")] = 1000,
) -> Response:
    """The newest explanations of a model that pass the filter, newest first. They are of one version: without
    `version`, that of the newest.

    `.csv` and `.parquet` have a row for each step, and are sent while they are read: id, created, model, version,
    sequence, label, step, the features, weight; of models with weights by feature, `weight FEATURE`, too. `.npz` has
    arrays padded on the right with 0: sequences, attention, predictions, lengths, ids, created, index, labels, features
    and classes.
    """
    newest = await ask_store(store.read(filter, 1))
    if not newest:
        raise NotFound(
            f"expected a filter that some kept explanation passes, received one that none does: {_tell(filter)}"
        )
    if newest[0].answers is not None:
        expected = "a model whose weights lie over the steps of its sequences"
        received = f"{newest[0].model}, which writes text"
        raise Invalid.at("the query parameter model", expected, received)
    filter = replace(filter, version=newest[0].version)
    headers = {"Content-Disposition": f'attachment; filename="{filter.model}-{filter.version}.{format}"'}
    if format == "npz":
        return Response(await _npz(store, filter, limit), headers=headers, media_type=TYPES[format])
    writer = export.CSVWriter() if format == "csv" else export.ParquetWriter()
    return StreamingResponse(_stream(store, filter, limit, writer), headers=headers, media_type=TYPES[format])


async def _stream(store: Store, filter: Filter, limit: int, writer: export.Writer) -> AsyncIterator[bytes]:
    async for page in read_pages(store, filter, limit):
        yield await asyncio.to_thread(writer.write, page)
    yield await asyncio.to_thread(writer.end)


async def _npz(store: Store, filter: Filter, limit: int) -> bytes:
    found: list[Explanation] = []
    async for page in read_pages(store, filter, limit):
        found += page
        if (values := export.padded_values(found)) > NPZ_VALUES:
            expected = f"so few explanations that their arrays hold at most {NPZ_VALUES:,} values, or .csv or .parquet"
            received = f"{values:,} in the newest {len(found):,}"
            raise Invalid.at("the query parameter limit", expected, received)
    return await asyncio.to_thread(export.npz, found)


def _tell(filter: Filter) -> str:
    fields = ("model", "version", "label", "since", "until")
    return ", ".join(f"{name}={value}" for name in fields if (value := getattr(filter, name)) is not None)
