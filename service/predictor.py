"""The story of one prediction: read, run, keep, answer."""

import logging
import time

import anyio.to_thread
import numpy as np
import uuid_utils

from service import padding, wire
from service.arrays import FloatArray
from service.errors import Fault, Invalid
from service.explanations.record import Explanation, steps
from service.explanations.store import Store, StoreError
from service.manifest import Manifest
from service.repository import Model, Repository
from service.schemas import PredictRequest
from service.settings import Settings

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
        manifest = model.manifest
        _check_attention(request, manifest)
        sequences = wire.read_sequences(
            request.sequences, manifest, self._settings.max_sequences, self._settings.max_steps
        )
        predictions, attention = await self._run(model, sequences)
        labels = name_labels(predictions, manifest)
        id, store_error = await self._keep(request, manifest, sequences, predictions, labels, attention)
        if attention is not None and request.attention == "per_step":
            attention = [steps(weights) for weights in attention]
        return wire.write_answer(
            id=id,
            manifest=manifest,
            sequences=sequences,
            predictions=predictions,
            labels=labels,
            attention=attention,
            top_k=request.top_k,
            store_error=store_error,
        )

    async def _run(self, model: Model, sequences: list[FloatArray]) -> tuple[FloatArray, list[FloatArray] | None]:
        """Predictions `(sequence, 1 or classes)`, and each sequence's weights without its padding."""
        runtime, manifest = model.runtime, model.manifest
        lengths = np.array([len(sequence) for sequence in sequences], np.int32)
        predictions = np.empty((len(sequences), manifest.outputs), np.float32)
        attention: dict[int, FloatArray] = {}
        padded = lengths if runtime.time is None else np.full_like(lengths, runtime.time)
        for rows in padding.plan(padded, len(manifest.features), self._settings.max_batch_values):
            time_steps = int(padded[rows].max())
            batch = padding.pad([sequences[row] for row in rows], time_steps)
            outputs = await anyio.to_thread.run_sync(runtime.run, batch, lengths[rows])
            predictions[rows] = outputs.prediction
            if outputs.attention is not None:
                weights = zip(rows.tolist(), outputs.attention, strict=True)
                attention.update((row, np.ascontiguousarray(found[: lengths[row]])) for row, found in weights)
        _check_finite(predictions, attention)
        return predictions, [attention[row] for row in range(len(sequences))] if attention else None

    async def _keep(
        self,
        request: PredictRequest,
        manifest: Manifest,
        sequences: list[FloatArray],
        predictions: FloatArray,
        labels: list[str] | None,
        attention: list[FloatArray] | None,
    ) -> tuple[str | None, str | None]:
        """Keeps the explanation; returns its id, or why it could not be kept."""
        if self._store is None or not request.store:
            return None, None
        explanation = Explanation(
            id=str(uuid_utils.uuid7()),
            created=time.time(),
            model=manifest.name,
            version=manifest.version,
            task=manifest.task,
            features=manifest.features,
            classes=manifest.labels,
            sequences=sequences,
            predictions=predictions,
            labels=labels,
            attention=attention,
        )
        try:
            await self._store.put(explanation)
        except StoreError as error:  # the prediction stands; the caller is told what it lacks
            logger.error("explanation not kept: %s", error)
            return None, str(error)
        return explanation.id, None


def name_labels(predictions: FloatArray, manifest: Manifest) -> list[str] | None:
    """The most probable label of each sequence; None for regression. `predictions`: `(sequence, 1 or classes)`."""
    if manifest.task == "regression":
        return None
    binary = manifest.task == "binary"
    classes = (predictions[:, 0] >= 0.5).astype(int) if binary else predictions.argmax(axis=1)
    return [manifest.labels[i] for i in classes]


def _check_attention(request: PredictRequest, manifest: Manifest) -> None:
    per_feature = manifest.attention is not None and "feature" in manifest.attention.axes
    if request.attention == "per_feature" and not per_feature:
        expected = f'"per_step", because {manifest.name} has no attention vector per feature'
        raise Invalid([Fault(pointer="/attention", expected=expected, received='"per_feature"')])


def _check_finite(predictions: FloatArray, attention: dict[int, FloatArray]) -> None:
    """Huge but finite inputs can overflow inside a model; JSON has no NaN, and nobody could use it."""
    bad = [
        row
        for row in range(len(predictions))
        if not np.isfinite(predictions[row]).all() or not np.isfinite(attention.get(row, np.float32(0))).all()
    ]
    if bad:
        expected = "values that the model can compute with"
        received = "values so large that its prediction is not finite"
        raise Invalid([Fault(pointer=f"/sequences/{row}", expected=expected, received=received) for row in bad])
