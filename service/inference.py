"""Parts of requests through a model, in runs of similar length: padding goes in and does not come out."""

import math
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import NamedTuple

import msgspec
import numpy as np

from service import padding
from service.arrays import FloatArray, IntArray
from service.batcher import Limits
from service.errors import Fault, Invalid
from service.models.codec import Codec
from service.models.loading import Model
from service.ragged import Ragged
from service.telemetry.collect import Telemetry

# What a decoder computes with at every input step for each output step, about: a run of text is bounded as if its
# sequences had so many features.
DECODER_VALUES = 32


class Key(NamedTuple):
    """Requests of the same key may run together.

    Attributes:
        beam: width of the search, of text.
    """

    model: Model
    beam: int | None = None


class Part(msgspec.Struct, frozen=True):
    """Sequences of one request, few enough for one run; see `batcher.Work`.

    Attributes:
        items: all sequences of the request, `(time, feature)` or ids `(time,)` each.
        rows: which of them these are, None for all.
        count: how many.
        time: steps that the longest is padded to.
        values: computed with at each step.
    """

    items: Ragged
    rows: IntArray | None
    count: int
    time: int
    values: int

    @property
    def sequences(self) -> Ragged:
        """The sequences of this part."""
        return self.items if self.rows is None else self.items.take(self.rows)


class Found(msgspec.Struct, frozen=True):
    """What a model said about some sequences.

    Attributes:
        predictions: `(sequence, output)`; of text, the probability of each answer, `(sequence, 1)`.
        attention: weights of each, `(time,)`, `(time, feature)` or, of text, `(out_time, in_time)`; None from a model
            without attention.
        answers: of text.
    """

    predictions: FloatArray
    attention: Ragged | None
    answers: list[str] | None = None


def split(key: Key, items: Ragged, limits: Limits) -> list[Part]:
    """Parts of a request that fit one run each; most requests are one."""
    model, codec = key.model, key.model.codec
    values = len(model.manifest.features)
    if codec is not None:
        values = DECODER_VALUES * max(key.beam or codec.beam, codec.longest)
    time = model.runtime.time or items.longest
    if limits.hold(len(items), time, values):
        return [Part(items, None, len(items), time, values)]
    padded = items.lengths if model.runtime.time is None else np.full_like(items.lengths, time)
    plan = padding.plan(padded, limits.count, limits.values // values, model.cost)
    return [Part(items, rows, len(rows), int(padded[rows].max()), values) for rows in plan]


def merge(parts: Sequence[Part], found: Sequence[Found]) -> Found:
    """What was found of the parts of one request, in its own order."""
    if len(parts) == 1:
        return found[0]
    rows = np.concatenate([part.rows for part in parts if part.rows is not None])
    back = np.argsort(rows)
    answers = [answer for one in found for answer in one.answers or []]
    attention = [one.attention for one in found if one.attention is not None]
    return Found(
        np.concatenate([one.predictions for one in found])[back],
        Ragged.join(attention).take(back) if attention else None,
        [answers[i] for i in back] if answers else None,
    )


class Inference:
    """Runs parts of several requests together; every run of the runtime is counted.

    Args:
        telemetry: counts the runs.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def run(self, key: Key, parts: Sequence[Part]) -> list[Found | Exception]:
        """What was found of each part.

        A part that holds values so large that the model's answer is not finite gets `Invalid` instead.
        """
        items = Ragged.join([part.sequences for part in parts])
        codec = key.model.codec
        if codec is None:
            found = self._run_numbers(key.model, items)
        else:
            found = self._run_texts(key.model, codec, items, key.beam or codec.beam)
        finite = _is_finite(found)
        if len(parts) == 1:
            return [found] if finite else [_not_finite(parts[0], found)]
        each = _separate(found, [part.count for part in parts])
        return [
            one if finite or _is_finite(one) else _not_finite(part, one) for part, one in zip(parts, each, strict=True)
        ]

    def _run_numbers(self, model: Model, items: Ragged) -> Found:
        block = items.block
        if block is not None and model.runtime.time in (None, block.shape[1]):
            return self._run_block(model, items, block)
        predictions = np.empty((len(items), model.manifest.outputs), np.float32)
        attention: Ragged | None = None
        for rows, time in _plan(model, items):
            lengths, begun = items.lengths[rows], perf_counter()
            outputs = model.runtime.run(items.padded(rows, time), lengths)
            self._count(model, begun, len(rows), int(lengths.sum()), time)
            predictions[rows] = outputs.prediction
            if outputs.attention is not None:
                if attention is None:
                    shape = (len(items.values), *outputs.attention.shape[2:])
                    attention = Ragged(np.empty(shape, np.float32), items.lengths)
                attention.put(rows, outputs.attention)
        return Found(predictions, attention)

    def _run_block(self, model: Model, items: Ragged, block: FloatArray) -> Found:
        """Runs sequences of equal length, `(sequence, time, feature)`, as they are."""
        count, time, begun = *block.shape[:2], perf_counter()
        if count <= (most := model.runtime.options.batch):
            found = [model.runtime.run(block, items.lengths)]
        else:
            starts = range(0, count, most)
            found = [model.runtime.run(block[i : i + most], items.lengths[i : i + most]) for i in starts]
        self._count(model, begun, count, count * time, time)
        predictions = found[0].prediction if len(found) == 1 else np.concatenate([one.prediction for one in found])
        if found[0].attention is None:
            return Found(predictions, None)
        weights = found[0].attention if len(found) == 1 else np.concatenate([one.attention for one in found])
        return Found(predictions, Ragged(weights.reshape(-1, *weights.shape[2:]), items.lengths, time=time))

    def _run_texts(self, model: Model, codec: Codec, items: Ragged, beam: int) -> Found:
        answers = [""] * len(items)
        probabilities = np.empty((len(items), 1), np.float32)
        attention: dict[int, FloatArray] = {}
        for rows, time in _plan(model, items):
            lengths, begun = items.lengths[rows], perf_counter()
            outputs = model.runtime.run_text(items.padded(rows, time), lengths, beam)
            self._count(model, begun, len(rows), int(lengths.sum()), time)
            probabilities[rows, 0] = outputs.probability
            for place, row in enumerate(rows.tolist()):
                answers[row] = codec.decode(outputs.prediction[place].tolist())
                attention[row] = outputs.attention[place, : len(answers[row]), : items.lengths[row]]
        return Found(probabilities, Ragged.of_matrices([attention[row] for row in range(len(items))]), answers)

    def _count(self, model: Model, begun: float, sequences: int, steps: int, time: int) -> None:
        """Counts a run of so many sequences, of so many steps in all, padded to `time`."""
        metrics = self._telemetry.model(model.manifest.name, model.manifest.version)
        metrics.compute.observe(perf_counter() - begun)
        metrics.batch_size.observe(sequences)
        metrics.sequences.add(sequences)
        metrics.steps.add(steps)
        metrics.padded_steps.add(sequences * time)


def _plan(model: Model, items: Ragged) -> Iterator[tuple[IntArray, int]]:
    """Runs of similar length: the rows of each, and the steps to pad them to."""
    fixed, most = model.runtime.time, model.runtime.options.batch
    if fixed is not None:
        for start in range(0, len(items), most):
            yield np.arange(start, min(start + most, len(items))), fixed
        return
    for rows in padding.plan(items.lengths, most, len(items) * items.longest, model.cost):
        yield rows, int(items.lengths[rows].max())


def _separate(found: Found, counts: list[int]) -> list[Found]:
    """What was found of each part, of which `counts` says how many sequences it had."""
    ends = np.cumsum(counts).tolist()
    each = []
    for start, end in zip([0, *ends], ends, strict=False):
        answers = None if found.answers is None else found.answers[start:end]
        attention = None if found.attention is None else found.attention.cut(start, end)
        each.append(Found(found.predictions[start:end], attention, answers))
    return each


def _is_finite(found: Found) -> bool:
    return _all_finite(found.predictions) and (found.attention is None or _all_finite(found.attention.values))


def _all_finite(array: FloatArray) -> bool:
    # A sum of squares is finite only if all are, and quick; one that overflows is no proof of the contrary.
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _not_finite(part: Part, found: Found) -> Invalid:
    """Huge but finite inputs can overflow inside a model; JSON has no NaN, and nobody could use it."""
    rows = np.arange(part.count) if part.rows is None else part.rows
    expected = "values that the model can compute with"
    received = "values so large that its prediction is not finite"
    return Invalid(
        [
            Fault(pointer=f"/sequences/{row}", expected=expected, received=received)
            for i, row in enumerate(rows.tolist())
            if not np.isfinite(found.predictions[i]).all()
            or (found.attention is not None and not np.isfinite(found.attention[i]).all())
        ]
    )
