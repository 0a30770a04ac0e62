"""Sequences one a line, answers one a line (NDJSON), however many.

Lines are read and put to the batcher a few at a time, as background work; and no further than what was answered and
taken: the reader waits while the batcher is full, while two groups of lines wait to be written, and while the client
does not read. So memory is that of a few groups, whatever comes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import TypeVar

from service import wire
from service.batcher import Full
from service.errors import Failed, HttpError, Invalid
from service.explanations.record import Explanation
from service.models.loading import Model
from service.ndjson import Endless, Entry, Lines
from service.predictor import Prediction, Predictor
from service.ragged import Ragged
from service.schemas.predict import PredictRequest
from service.settings import Settings

T = TypeVar("T")
MOST = 64  # lines of a group: what one run holds, and read within a few milliseconds
WAITING = 2  # groups between the reader and the writer
FULL_S = 0.02  # seconds between looks whether the batcher has room again
UNKNOWN = ("store", "top_k", "faithfulness")  # fields of a request that a stream has not


class Stream:
    """One request: its lines through one model.

    Args:
        fields: what the query says.
        request_id: for the errors.
    """

    def __init__(
        self, predictor: Predictor, settings: Settings, model: Model, fields: PredictRequest, request_id: str
    ) -> None:
        self._predictor, self._settings, self._model, self._id = predictor, settings, model, request_id
        self._fields = fields.model_copy(update={"store": False, "priority": "background"})
        self._groups: asyncio.Queue[asyncio.Task[bytes] | Endless | None] = asyncio.Queue(WAITING)
        self._running: set[asyncio.Task[bytes]] = set()

    async def answer(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Lines in, lines out, in order. Closed, or when `chunks` raises, it drops the work.

        Args:
            chunks: of the body; an empty one is its end, and what is raised behind it is still heard.

        Raises:
            Endless: a line does not end, and nothing was answered before it.
        """
        reader = asyncio.create_task(self._read(chunks))
        answered = False
        try:
            while isinstance(group := await _unless_failed(reader, self._groups.get()), asyncio.Task):
                yield await _unless_failed(reader, group)
                answered = True
            if group is not None and not answered:
                raise group
            if group is not None:
                yield wire.dump({"line": group.line, **group.problem(self._id)}) + b"\n"
        finally:
            for task in (reader, *self._running):
                task.cancel()

    async def _read(self, chunks: AsyncIterator[bytes]) -> None:
        """Takes chunk after chunk. Looks ahead: a client that goes is heard while its lines still wait."""
        lines, ahead = Lines(self._settings.max_body), asyncio.Queue[bytes](1)
        receiver = asyncio.create_task(_receive(chunks, ahead))
        try:
            while True:
                chunk = await _unless_failed(receiver, ahead.get())
                await _unless_failed(receiver, self._take(lines, chunk))
        finally:
            receiver.cancel()

    async def _take(self, lines: Lines, chunk: bytes) -> None:
        """Puts groups of lines into the queue, and in the end `None`, or the line that does not end."""
        complete = lines.feed(chunk) if chunk else lines.finish()
        for start in range(0, len(complete), MOST):
            entries = [Entry(number, self._id) for number, _ in complete[start : start + MOST]]
            for entry, (_, line) in zip(entries, complete[start:], strict=False):
                entry.read(line, self._model, self._settings.max_steps)
            task = asyncio.create_task(self._answer(entries))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await self._groups.put(task)
            await asyncio.sleep(0)  # others have their turn
        if not chunk or lines.error is not None:
            await self._groups.put(lines.error)

    async def _answer(self, entries: list[Entry]) -> bytes:
        good = [entry for entry in entries if entry.items is not None]
        if good:
            await self._predict(good)
        return b"".join([entry.write() for entry in entries])

    async def _predict(self, entries: list[Entry]) -> None:
        """Has these predicted together; where the model fails on them, each alone."""
        items = Ragged.join([entry.items for entry in entries if entry.items is not None])
        texts = [entry.text for entry in entries if entry.text is not None]

        def write(explanation: Explanation, request: PredictRequest, id: str | None, store_error: str | None) -> bytes:
            for index, entry in enumerate(entries):
                entry.answer(explanation, index, request)
            return b""

        prediction = Prediction(self._model, self._fields, items, texts or None, write)
        try:
            await self._room()  # nothing suspends from here to the batcher, so nobody else takes it
            await self._predictor.answer(lambda: prediction)
        except (Invalid, Failed) as error:
            if len(entries) == 1:
                entries[0].refuse(error)
                return
            for entry in entries:
                await self._predict([entry])
        except HttpError as error:
            for entry in entries:
                entry.refuse(error)

    async def _room(self) -> None:
        """Waits until the batcher takes background work."""
        while True:
            try:
                self._predictor.batcher.check(background=True)
            except Full:
                await asyncio.sleep(FULL_S)
            else:
                return


def check(fields: PredictRequest) -> None:
    """Holds a query to what a stream has.

    Raises:
        Invalid: it wants more.
    """
    for name in UNKNOWN:
        if name in fields.model_fields_set and (value := getattr(fields, name)):
            raise Invalid.at(f"the query parameter {name}", "none in a stream", f"{value}")


async def _receive(chunks: AsyncIterator[bytes], ahead: asyncio.Queue[bytes]) -> None:
    async for chunk in chunks:
        await ahead.put(chunk)


async def _unless_failed(other: asyncio.Task[None], coming: Coroutine[None, None, T] | asyncio.Task[T]) -> T:
    """What comes, unless the other fails before."""
    future = asyncio.ensure_future(coming)
    try:
        await asyncio.wait((future, other), return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and other.done():
            other.result()
        return await future
    finally:
        future.cancel()
