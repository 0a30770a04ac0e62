"""The story of one prediction: read, run, keep, answer."""

import logging
import time

import uuid_utils

from service import inference, wire
from service.arrays import FloatArray
from service.errors import Fault, Invalid
from service.explanations.record import Explanation
from service.explanations.store import Store, StoreError
from service.manifest import Manifest
from service.repository import Model, Repository
from service.schemas import PredictRequest
from service.settings import Settings
from service.text import Codec

logger = logging.getLogger(__name__)


class Predictor:
    """Answers the body of a POST /predict.

    Args:
        store: None keeps no explanations.
        settings: its limits on sequences, steps and values of a run.
    """

    def __init__(self, repository: Repository, store: Store | None, settings: Settings) -> None:
        self._repository, self._store, self._settings = repository, store, settings

    async def predict(self, body: bytes) -> bytes:
        """Request body to answer body.

        Raises:
            HttpError: the request is at fault; says how.
        """
        request = wire.read_request(body)
        model = self._repository.get(request.model, request.version)
        _check_options(request, model.manifest)
        if model.codec is None:
            explanation = await self._explain_numbers(model, request)
        else:
            explanation = await self._explain_texts(model, model.codec, request)
        id, store_error = await self._keep(explanation) if request.store else (None, None)
        return wire.write_answer(explanation, request, id, store_error)

    async def _explain_numbers(self, model: Model, request: PredictRequest) -> Explanation:
        settings, manifest = self._settings, model.manifest
        sequences = wire.read_sequences(request.sequences, manifest, settings.max_sequences, settings.max_steps)
        predictions, attention = await inference.run_numbers(model, sequences, settings.max_batch_values)
        return Explanation(
            id=str(uuid_utils.uuid7()),
            created=time.time(),
            model=manifest.name,
            version=manifest.version,
            task=manifest.task,
            features=manifest.features,
            classes=manifest.labels,
            sequences=sequences,
            predictions=predictions,
            labels=name_labels(predictions, manifest),
            attention=attention,
        )

    async def _explain_texts(self, model: Model, codec: Codec, request: PredictRequest) -> Explanation:
        settings, manifest = self._settings, model.manifest
        texts = wire.read_texts(request.sequences, manifest, settings.max_sequences, settings.max_steps)
        sequences, beam = [codec.encode(text) for text in texts], request.beam or codec.beam
        answers, probabilities, attention = await inference.run_texts(
            model, codec, sequences, beam, settings.max_batch_values
        )
        return Explanation(
            id=str(uuid_utils.uuid7()),
            created=time.time(),
            model=manifest.name,
            version=manifest.version,
            task=manifest.task,
            features=manifest.features,
            classes=[],
            sequences=[],
            predictions=probabilities,
            labels=None,
            attention=attention,
            texts=texts,
            answers=answers,
            unknown=[codec.unknown(text) for text in texts],
        )

    async def _keep(self, explanation: Explanation) -> tuple[str | None, str | None]:
        """Keeps the explanation; returns its id, or why it could not be kept."""
        if self._store is None:
            return None, None
        try:
            await self._store.put(explanation)
        except StoreError as error:  # the prediction stands; the caller is told what it lacks
            logger.error("explanation not kept: %s", error)
            return None, str(error)
        return explanation.id, None


def name_labels(predictions: FloatArray, manifest: Manifest) -> list[str] | None:
    """The most probable label of each sequence; None for values. `predictions`: `(sequence, output)`."""
    if not manifest.labels:
        return None
    binary = manifest.task == "binary"
    classes = (predictions[:, 0] >= 0.5).astype(int) if binary else predictions.argmax(axis=1)
    return [manifest.labels[i] for i in classes]


def _check_options(request: PredictRequest, manifest: Manifest) -> None:
    per_feature = manifest.attention is not None and "feature" in manifest.attention.axes
    if request.attention == "per_feature" and not per_feature:
        expected = f'"per_step", because {manifest.name} has no attention vector per feature'
        raise Invalid([Fault(pointer="/attention", expected=expected, received='"per_feature"')])
    if request.beam is not None and manifest.decoding is None:
        expected = f"no width of a search, because {manifest.name} writes no text"
        raise Invalid([Fault(pointer="/beam", expected=expected, received=str(request.beam))])
