"""The story of one prediction: read, run, keep, answer.

It is told in callbacks, not in coroutines: a task for each request would cost more than the request.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import uuid_utils

from service import fast, inference, reading, wire
from service.arrays import FloatArray
from service.batcher import INLINE_ALONE_S, INLINE_S, Batcher, DeadlineExceeded, Full, Job, Limits, Stopped
from service.errors import Failed, HttpError, Invalid, StoreFailed, TooLate, TooMany, Unavailable
from service.examiner import Examiner, check_count, check_fast
from service.explanations.measures import classes_of
from service.explanations.record import Explanation, now
from service.explanations.stores.store import Store, StoreDown, StoreError
from service.explanations.tally import Tally
from service.inference import Found, Inference, Key, Part
from service.manifest import Manifest
from service.models.loading import Model
from service.models.repository import Repository
from service.models.runtime import available_cpus
from service.ragged import Ragged
from service.schemas.predict import PredictRequest
from service.settings import Settings
from service.telemetry.collect import Telemetry

logger = logging.getLogger(__name__)


class NotLoaded(Exception):
    """The model of a request has to be loaded first."""

    def __init__(self, name: str | None, version: int | None) -> None:
        super().__init__(f"{name} {version}")
        self.name, self.version = name, version


Done = Callable[[bytes | HttpError], None]
Write = Callable[[Explanation, PredictRequest, str | None, str | None], bytes]


class Prediction:
    """One request on its way: what was asked, and of which model.

    Attributes:
        texts: of a model that reads text.
        items: the sequences, `(time, feature)` or ids `(time,)` each.
        write: makes the body of the answer; see `wire.write_answer`.
        labelled: whether the answer names labels, which takes as long as all else about many sequences.
    """

    __slots__ = ("examining", "fields", "items", "job", "labelled", "model", "texts", "write")

    def __init__(
        self,
        model: Model,
        fields: PredictRequest,
        items: Ragged,
        texts: list[str] | None = None,
        write: Write = wire.write_answer,
        labelled: bool = True,
    ) -> None:
        self.model, self.fields, self.items, self.texts, self.write = model, fields, items, texts, write
        self.labelled = labelled
        self.job: Job[Key, Part, Found] | None = None
        self.examining: asyncio.Task[None] | None = None

    @property
    def beam(self) -> int | None:
        """How wide the search for answers in text is; None of other models."""
        codec = self.model.codec
        return None if codec is None else self.fields.beam or codec.beam


class Predictor:
    """Answers the body of a POST /predict.

    Args:
        store: None keeps no explanations.
        settings: its limits on sequences, steps, values of a run, and waiting.
        telemetry: counts what happens.
    """

    def __init__(self, repository: Repository, store: Store | None, settings: Settings, telemetry: Telemetry) -> None:
        self._repository, self._store, self._settings, self._telemetry = repository, store, settings, telemetry
        self._limits = Limits(settings.max_batch, settings.max_batch_values)
        inline = INLINE_S if available_cpus() > settings.workers else INLINE_ALONE_S
        self.batcher: Batcher[Key, Part, Found] = Batcher(
            Inference(telemetry).run, _seconds, _share, self._limits, settings.max_wait, inline, self._observe
        )
        self.examiner = Examiner(repository, self.batcher, settings, telemetry)
        self._tally = Tally(telemetry)
        telemetry.gauge("queue_length", "Requests that wait for their first run or their next.", self._queue_length)

    async def predict(self, body: bytes) -> bytes:
        """Request body to answer body; see `answer`."""
        return await self.answer(partial(self.read, body), large=len(body) >= fast.LARGE_BODY)

    async def answer(self, read: Callable[[], Prediction], large: bool = False) -> bytes:
        """The answer to the request that `read` reads. Cancelled, it drops the work.

        Args:
            read: `read`, or one that calls `admit`; called again once the model is loaded.
            large: reads on a thread.

        Raises:
            HttpError: the request is at fault, or the server; says how.
        """
        prediction = await self._read_when_loaded(read, large)
        answer: asyncio.Future[bytes | HttpError] = asyncio.get_running_loop().create_future()

        def done(found: bytes | HttpError) -> None:
            if not answer.done():
                answer.set_result(found)

        self.submit(prediction, done)
        try:
            found = await answer
        except asyncio.CancelledError:
            self.cancel(prediction)
            raise
        if isinstance(found, HttpError):
            raise found
        return found

    def read(self, body: bytes) -> Prediction:
        """Reads a request, of the model that it is for.

        Raises:
            HttpError: it is at fault; says how.
            NotLoaded: the model is not in memory.
        """
        request = fast.read(body)
        fields = request.fields if request else reading.read_request(body)
        return self.admit(fields, lambda model: self._read(model, fields, request, body))

    def admit(self, fields: PredictRequest, read: Callable[[Model], Prediction]) -> Prediction:
        """The request that `read` makes for its model.

        Args:
            fields: all but the sequences.

        Raises:
            HttpError: it is at fault; says how.
            NotLoaded: the model is not in memory.
        """
        model = self._repository.loaded(fields.model, fields.version)
        if model is None:
            raise NotLoaded(fields.model, fields.version)
        try:
            _check_options(fields, model.manifest)
            prediction = read(model)
            if fields.faithfulness is not None:
                check_count(len(prediction.items))
            return prediction
        except HttpError as error:
            self._refused(model.manifest, error)
            raise

    async def model(self, fields: PredictRequest) -> Model:
        """The model of a request, loaded, and able to do what the fields ask for.

        Raises:
            HttpError: there is none, it cannot, or it cannot be loaded in time.
        """
        nothing = Ragged(np.empty((0, 1), np.float32), np.empty(0, np.int32))
        read = partial(self.admit, fields, lambda model: Prediction(model, fields, nothing))
        return (await self._read_when_loaded(read, large=False)).model

    async def _read_when_loaded(self, read: Callable[[], Prediction], large: bool) -> Prediction:
        """Reads a request, once its model is loaded."""
        while True:
            try:
                return await asyncio.to_thread(read) if large else read()
            except NotLoaded as missing:
                await self._load(missing)

    async def _load(self, missing: NotLoaded) -> None:
        try:
            async with asyncio.timeout(self._settings.deadline):
                await self._repository.get(missing.name, missing.version)
        except TimeoutError as error:
            raise as_http(DeadlineExceeded()) from error

    def _read(self, model: Model, fields: PredictRequest, request: fast.FastRequest | None, body: bytes) -> Prediction:
        limits = (self._settings.max_sequences, self._settings.max_steps)
        if model.codec is not None:
            texts = reading.read_texts(_sequences(fields, request, body), model.manifest, *limits)
            return Prediction(model, fields, Ragged.of([model.codec.encode(text) for text in texts]), texts)
        items = request.sequences(model.manifest, *limits) if request else None
        if items is None:
            items = reading.read_sequences(_sequences(fields, request, body), model.manifest, *limits)
        return Prediction(model, fields, items)

    def submit(self, prediction: Prediction, done: Done) -> None:
        """Has it run; `done` is called once, later, with the answer or the error, unless it is cancelled.

        Raises:
            TooMany: too much waits already.
            Unavailable: the server is stopping.
        """
        settings, fields = self._settings, prediction.fields
        key = Key(prediction.model, prediction.beam)
        parts = inference.split(key, prediction.items, self._limits)
        seconds = settings.deadline if fields.deadline is None else min(fields.deadline, settings.deadline)
        begun = time.monotonic()

        def answer(found: bytes | HttpError) -> None:
            prediction.job = None  # which holds this function: without it, nothing is left for the garbage collector
            self._count(prediction.model.manifest, found, time.monotonic() - begun)
            done(found)

        def ran(outcome: Sequence[Found] | Exception) -> None:
            try:
                self._ran(prediction, parts, outcome, answer)
            except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
                answer(as_http(error))

        prediction.job = Job(key, parts, ran, begun + seconds, fields.priority == "background")
        try:
            self.batcher.submit(prediction.job)
        except (Full, Stopped) as error:
            refused = as_http(error)
            self._refused(prediction.model.manifest, refused)
            raise refused from error

    def cancel(self, prediction: Prediction) -> None:
        """Drops the work of a request that nobody waits for any more."""
        if prediction.job is not None:
            self.batcher.cancel(prediction.job)
        if prediction.examining is not None:
            prediction.examining.cancel()

    def check(self) -> None:
        """Refuses a request before it is read.

        Raises:
            TooMany: too much waits already.
        """
        try:
            self.batcher.check()
        except Full as error:
            raise as_http(error) from error

    def _ran(
        self, prediction: Prediction, parts: Sequence[Part], outcome: Sequence[Found] | Exception, done: Done
    ) -> None:
        """Tests and keeps the explanation, if that is wanted, and answers."""
        if isinstance(outcome, Exception):
            done(as_http(outcome))
            return
        found = inference.merge(parts, outcome)
        if found.attention is not None:
            self._tally.add(prediction.model.manifest, found.attention)
        labelled = prediction.labelled or (self._store is not None and prediction.fields.store)
        explanation = _explain(prediction, found, labelled)
        if prediction.fields.faithfulness is None:
            self._keep(prediction, explanation, done)
        else:
            prediction.examining = asyncio.ensure_future(self._examine(prediction, explanation, done))

    async def _examine(self, prediction: Prediction, explanation: Explanation, done: Done) -> None:
        """Tests the weights before they are kept, and adds what was found to the answer."""
        deadline = prediction.job.deadline if prediction.job else 0.0
        try:
            found = await self.examiner.examine_fast(prediction.model, explanation, deadline)
            self._keep(prediction, explanation, lambda answer: done(wire.add_faithfulness(answer, found)))
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets an answer)
            done(as_http(error))

    def _keep(self, prediction: Prediction, explanation: Explanation, done: Done) -> None:
        """Keeps the explanation, if that is wanted, and answers."""
        if self._store is None or not prediction.fields.store:
            done(prediction.write(explanation, prediction.fields, None, None))
            return

        def kept(error: BaseException | None) -> None:
            self._telemetry.kept(error is None)
            if error is None:
                done(prediction.write(explanation, prediction.fields, explanation.id, None))
            elif isinstance(error, StoreError):  # the prediction stands; the caller is told what it lacks
                if not isinstance(error, StoreDown):  # said once, when it went down
                    logger.error("explanation not kept: %s", error)
                done(prediction.write(explanation, prediction.fields, None, StoreFailed.told))
            else:
                done(as_http(error))

        to_keep = explanation if self._settings.store_inputs else explanation.without_inputs()
        self._store.put(to_keep, kept)

    def _refused(self, manifest: Manifest, error: HttpError) -> None:
        self._telemetry.model(manifest.name, manifest.version).requests.add(type(error).__name__)

    def _count(self, manifest: Manifest, found: bytes | HttpError, seconds: float) -> None:
        metrics = self._telemetry.model(manifest.name, manifest.version)
        metrics.requests.add(type(found).__name__ if isinstance(found, HttpError) else "ok")
        metrics.total.observe(seconds)

    def _observe(self, key: Key, jobs: Sequence[Job[Key, Part, Found]], started: float) -> None:
        """Counts how long each of these jobs has waited, whose run starts."""
        queue = self._telemetry.model(key.model.manifest.name, key.model.manifest.version).queue
        for job in jobs:
            if job.next == 0:
                queue.observe(started - job.entered)

    def _queue_length(self) -> dict[tuple[str, ...], float]:
        return {(): self.batcher.length}


def _sequences(fields: PredictRequest, request: fast.FastRequest | None, body: bytes) -> list[Any]:
    """The sequences as JSON has them, for `reading.py`."""
    return fields.sequences if request is None else reading.read_request(body).sequences


def _seconds(key: Key, count: int, time: int) -> float:
    return key.model.cost.seconds(count, time)


def _share(key: Key, count: int, time: int) -> float:
    return key.model.cost.share(count, time)


def _explain(prediction: Prediction, found: Found, labelled: bool) -> Explanation:
    manifest, texts, codec = prediction.model.manifest, prediction.texts, prediction.model.codec
    return Explanation(
        id=str(uuid_utils.uuid7()),
        created=now(),
        model=manifest.name,
        version=manifest.version,
        task=manifest.task,
        features=manifest.features,
        classes=manifest.labels,
        sequences=prediction.items if texts is None else None,
        predictions=found.predictions,
        labels=name_labels(found.predictions, manifest) if labelled else None,
        attention=found.attention,
        texts=texts,
        answers=found.answers,
        unknown=None if texts is None or codec is None else [codec.unknown(text) for text in texts],
        beams=None if prediction.beam is None else [prediction.beam] * len(prediction.items),
    )


def name_labels(predictions: FloatArray, manifest: Manifest) -> list[str] | None:
    """The most probable label of each sequence; None for values. `predictions`: `(sequence, output)`."""
    if not manifest.labels:
        return None
    return list(map(manifest.labels.__getitem__, classes_of(predictions, manifest.task).tolist()))


def _check_options(request: PredictRequest, manifest: Manifest) -> None:
    if request.faithfulness is not None:
        check_fast(manifest)
    per_feature = manifest.attention is not None and "feature" in manifest.attention.axes
    if request.attention == "per_feature" and not per_feature:
        expected = f'"per_step", because {manifest.name} has no attention vector per feature'
        raise Invalid.at("/attention", expected, '"per_feature"')
    if request.beam is not None and manifest.decoding is None:
        expected = f"no width of a search, because {manifest.name} writes no text"
        raise Invalid.at("/beam", expected, str(request.beam))


def as_http(error: BaseException) -> HttpError:
    """The answer that an error becomes; what is nobody's fault is logged."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, Full):
        return TooMany(error.retry_after)
    if isinstance(error, DeadlineExceeded):
        return TooLate("expected to answer before the deadline; the work was not finished in time")
    if isinstance(error, Stopped):
        return Unavailable(str(error))
    logger.error("a prediction failed", exc_info=error)
    return Failed("the model failed on these sequences; the server's log says how")
