"""GET /attention/export.csv, .parquet and .npz: kept explanations as a file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import StringConvertor, register_url_convertor

from service.errors import Invalid, NotFound
from service.explanations.export import files
from service.explanations.record import Explanation
from service.explanations.stores.store import Entry, Filter, Store
from service.routes import problems
from service.routes.filtering import Cursor, Label, Since, Until, Version
from service.routes.finding import StoreDep, ask_store, read_pages

router = APIRouter(tags=["attention"])
Format = Literal["csv", "parquet", "npz"]
TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/x-npz",
}
LINK = {"description": 'where there are more: <ADDRESS>; rel="next"', "schema": {"type": "string"}}
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
    cursor: Annotated[Cursor, Query(description="of the `Link` to the next file")] = None,
) -> Filter:
    """What the query says; a file has one model's features for columns."""
    before = str(cursor) if cursor else None
    return Filter(model=model, version=version, label=label, since=since, until=until, before=before)


@router.get(
    "/attention/export.{format:file}",
    summary="Kept explanations as a file",
    response_class=Response,
    responses={
        200: {"content": {kind.split(";")[0]: {} for kind in TYPES.values()}, "headers": {"Link": LINK}},
        **problems(404, 422, 503),
    },
)
async def export_explanations(
    request: Request,
    format: Annotated[Format, Path(description="of the file")],
    store: StoreDep,
    filter: Annotated[Filter, Depends(read_filter)],
    limit: Annotated[int, Query(ge=1, le=100_000, description="the newest explanations, at most")] = 1000,
) -> Response:
    """The newest explanations of a model that pass the filter, newest first. They are of one version: without
    `version`, that of the newest. Where there are more than `limit`, the header `Link` has the address of a file of the
    next ones, and so on to the last.

    `.csv` and `.parquet` have a row for each step, and are sent while they are read: id, created, model, version,
    sequence, label, prediction, step, the features, weight. Where the prediction is several numbers each has a column,
    `prediction CLASS`, or, of the next values, `prediction 1` and so on; of models with weights by feature, `weight
    FEATURE`, too. `.npz` has arrays padded on the right with 0: sequences, attention, predictions, lengths, ids,
    created, index, labels, features and classes.

    Of models that write text there is a row for each character written and each character read: id, created, model,
    version, sequence, prediction, probability, out_step, out_character, in_step, in_character, weight. Their `.npz` has
    texts, predictions, probabilities, attention (text, out_time, in_time), lengths, out_lengths, ids, created, index.
    """
    filter = await _of_one_version(store, filter)
    listed = await ask_store(store.latest(filter, limit + 1))  # one more, to know whether there is a next file
    headers = {"Content-Disposition": f'attachment; filename="{filter.model}-{filter.version}.{format}"'}
    if len(listed) > limit:
        url = request.url.include_query_params(version=filter.version, cursor=listed[limit - 1].id)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    pages = _read(store, filter, listed[:limit])
    if format == "npz":
        return Response(await _npz(pages), headers=headers, media_type=TYPES[format])
    writer = files.CSVWriter() if format == "csv" else files.ParquetWriter()
    return StreamingResponse(_stream(pages, writer), headers=headers, media_type=TYPES[format])


async def _of_one_version(store: Store, filter: Filter) -> Filter:
    """The filter, with the version of the newest that passes.

    Raises:
        NotFound: none passes.
        StoreFailed: the store failed.
    """
    newest = await ask_store(store.read(filter, 1))
    if not newest:
        raise NotFound(
            f"expected a filter that some kept explanation passes, received one that none does: {_tell(filter)}"
        )
    return replace(filter, version=newest[0].version)


async def _read(store: Store, filter: Filter, listed: list[Entry]) -> AsyncIterator[list[Explanation]]:
    """Those listed, and no others: neither newer ones, nor those that come in the place of what is deleted meanwhile,
    which are in the next file.
    """
    ids = {entry.id for entry in listed}
    above = UUID(max(ids)).int + 1 if ids else 1
    async for page in read_pages(store, replace(filter, before=str(UUID(int=above))), len(ids)):
        if there := [one for one in page if one.id in ids]:
            yield there


async def _stream(pages: AsyncIterator[list[Explanation]], writer: files.Writer) -> AsyncIterator[bytes]:
    async for page in pages:
        yield await asyncio.to_thread(writer.write, page)
    yield await asyncio.to_thread(writer.end)


async def _npz(pages: AsyncIterator[list[Explanation]]) -> bytes:
    found: list[Explanation] = []
    size = files.PaddedSize()
    async for page in pages:
        found += page
        if (values := size.add(page)) > NPZ_VALUES:
            expected = f"so few explanations that their arrays hold at most {NPZ_VALUES:,} values, or .csv or .parquet"
            raise Invalid.at("the query parameter limit", expected, f"{values:,} in the newest {len(found):,}")
    return await asyncio.to_thread(files.npz, found)


def _tell(filter: Filter) -> str:
    fields = ("model", "version", "label", "since", "until", "before")
    return ", ".join(f"{name}={value}" for name in fields if (value := getattr(filter, name)) is not None)
