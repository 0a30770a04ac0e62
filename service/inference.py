"""Many sequences through a model: in runs of similar length, padded on the way in, without padding on the way out."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
import numpy as np

from service import padding
from service.arrays import FloatArray, IntArray
from service.errors import Fault, Invalid
from service.repository import Model
from service.text import Codec

R = TypeVar("R")

# What a decoder computes with at every input step for each output step, about: a run of text is bounded as if its
# sequences had so many features.
DECODER_VALUES = 32


async def run_numbers(
    model: Model, sequences: list[FloatArray], max_values: int
) -> tuple[FloatArray, list[FloatArray] | None]:
    """Predictions `(sequence, output)`, and the weights of each sequence, `(time,)` or `(time, feature)`.

    Args:
        sequences: `(time, feature)` each.
        max_values: bound on batch × time × feature of one run.

    Raises:
        Invalid: a sequence holds values so large that the model's answer is not finite.
    """
    predictions = np.empty((len(sequences), model.manifest.outputs), np.float32)
    attention: dict[int, FloatArray] = {}
    runtime, values = model.runtime, len(model.manifest.features)
    async for rows, outputs in _runs(runtime.run, sequences, runtime.time, values, max_values):
        predictions[rows] = outputs.prediction
        if outputs.attention is not None:
            for row, weights in zip(rows.tolist(), outputs.attention, strict=True):
                attention[row] = np.ascontiguousarray(weights[: len(sequences[row])])
    _check_finite(predictions, attention)
    return predictions, [attention[row] for row in range(len(sequences))] if attention else None


async def run_texts(
    model: Model, codec: Codec, sequences: list[IntArray], beam: int, max_values: int
) -> tuple[list[str], FloatArray, list[FloatArray]]:
    """Answers, their probabilities `(sequence, 1)`, and the weights of each, `(out_time, in_time)`.

    Args:
        codec: of the model.
        sequences: ids `(time,)` each.
        beam: width of the search.
        max_values: bound on batch × time × values of one run.
    """
    answers = [""] * len(sequences)
    probabilities = np.empty((len(sequences), 1), np.float32)
    attention: dict[int, FloatArray] = {}
    run = partial(model.runtime.run_text, beam=beam)
    values = DECODER_VALUES * max(beam, codec.longest)
    async for rows, outputs in _runs(run, sequences, None, values, max_values):
        probabilities[rows, 0] = outputs.probability
        for place, row in enumerate(rows.tolist()):
            answers[row] = codec.decode(outputs.prediction[place].tolist())
            weights = outputs.attention[place, : len(answers[row]), : len(sequences[row])]
            attention[row] = np.ascontiguousarray(weights)
    return answers, probabilities, [attention[row] for row in range(len(sequences))]


async def _runs(
    run: Callable[..., R], sequences: Sequence[Any], time: int | None, values: int, max_values: int
) -> AsyncIterator[tuple[IntArray, R]]:
    """Runs all sequences, padded to `time` where the graph fixes it; gives each run's indices and its outputs."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int32)
    padded = lengths if time is None else np.full_like(lengths, time)
    for rows in padding.plan(padded, values, max_values):
        batch = padding.pad([sequences[row] for row in rows], int(padded[rows].max()))
        yield rows, await anyio.to_thread.run_sync(run, batch, lengths[rows])


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
