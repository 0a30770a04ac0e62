"""The story of one prediction: read, run, keep, answer."""

import logging
import time
from functools import partial
from typing import Any

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
        run = self._run_numbers if model.codec is None else partial(self._run_texts, codec=model.codec)
        explanation = _explain(model.manifest, await run(model, request))
        id, store_error = await self._keep(explanation) if request.store else (None, None)
        return wire.write_answer(explanation, request, id, store_error)

    async def _run_numbers(self, model: Model, request: PredictRequest) -> dict[str, Any]:
        """The fields of an explanation that the model decides."""
        settings, manifest = self._settings, model.manifest
        sequences = wire.read_sequences(request.sequences, manifest, settings.max_sequences, settings.max_steps)
        predictions, attention = await inference.run_numbers(model, sequences, settings.max_batch_values)
        labels = name_labels(predictions, manifest)
        return {"sequences": sequences, "predictions": predictions, "labels": labels, "attention": attention}

    async def _run_texts(self, model: Model, request: PredictRequest, codec: Codec) -> dict[str, Any]:
        """The fields of an explanation that the model decides, of text."""
        settings, manifest = self._settings, model.manifest
        texts = wire.read_texts(request.sequences, manifest, settings.max_sequences, settings.max_steps)
        ids, beam = [codec.encode(text) for text in texts], request.beam or codec.beam
        answers, probabilities, attention = await inference.run_texts(
            model, codec, ids, beam, settings.max_batch_values
        )
        unknown = [codec.unknown(text) for text in texts]
        found = {"sequences": [], "predictions": probabilities, "labels": None, "attention": attention}
        return {**found, "texts": texts, "answers": answers, "unknown": unknown}

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


def _explain(manifest: Manifest, found: dict[str, Any]) -> Explanation:
    return Explanation(
        id=str(uuid_utils.uuid7()),
        created=time.time(),
        model=manifest.name,
        version=manifest.version,
        task=manifest.task,
        features=manifest.features,
        classes=manifest.labels,
        **found,
    )


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
