"""One kept explanation: everything an answer was made of, readable without the model that made it."""

import time
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import numpy as np

from service.arrays import FloatArray
from service.ragged import Ragged

__all__ = ["Explanation", "Ragged", "now", "steps", "steps_of"]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of one request with their predictions and weights.

    Attributes:
        id: UUID version 7, so that ids sort by time.
        created: seconds since 1970, to the microsecond; see `now`.
        features: names of the feature axis.
        classes: class names in output order; none for regression.
        sequences: one `(time, feature)` each; None of a model that reads text, and where inputs are not kept.
        predictions: `(sequence, output)`; of a model that writes text, the probability of each, `(sequence, 1)`.
        labels: the predicted class of each sequence; None for values and texts.
        attention: one `(time,)`, `(time, feature)` or, of text, `(out_time, in_time)` each; None from a model without
            attention.
        texts: what a model that reads text was given; None where inputs are not kept.
        answers: what it wrote; None of other models.
        unknown: of each text, where there are characters that the model has never seen.
        beams: of each answer, how wide the search for it was; None of other models.
    """

    id: str
    created: float
    model: str
    version: int
    task: str
    features: list[str]
    classes: list[str]
    sequences: Ragged | None
    predictions: np.ndarray
    labels: list[str] | None
    attention: Ragged | None
    texts: list[str] | None = None
    answers: list[str] | None = None
    unknown: list[list[int]] | None = None
    beams: list[int] | None = None

    def __len__(self) -> int:
        """How many sequences."""
        return len(self.predictions)

    @property
    def created_at(self) -> datetime:
        """When it was made, in UTC."""
        return datetime.fromtimestamp(self.created, UTC)

    @property
    def has_inputs(self) -> bool:
        """Whether what was received is part of it."""
        return self.sequences is not None or self.texts is not None

    def length(self, index: int) -> int:
        """Steps of a sequence, or characters of a text; where inputs are not kept, of its weights."""
        if self.texts is not None:
            return len(self.texts[index])
        kept = self.attention if self.sequences is None else self.sequences
        return 0 if kept is None else len(kept[index])

    def hash(self, index: int) -> str | None:
        """SHA-256 of a sequence: of its values as little-endian float32, step by step, or of its text as UTF-8. None
        where inputs are not kept.
        """
        if self.texts is not None:
            return sha256(self.texts[index].encode()).hexdigest()
        if self.sequences is not None:
            return sha256(self.sequences[index].astype("<f4", copy=False).tobytes()).hexdigest()
        return None

    def cut(self, start: int, stop: int) -> "Explanation":
        """The sequences from `start` up to `stop`, or to the last, without a copy of their values."""
        rows = slice(start, min(stop, len(self)))
        return msgspec.structs.replace(
            self,
            sequences=self.sequences and self.sequences.cut(rows.start, rows.stop),
            predictions=self.predictions[rows],
            labels=self.labels and self.labels[rows],
            attention=self.attention and self.attention.cut(rows.start, rows.stop),
            texts=self.texts and self.texts[rows],
            answers=self.answers and self.answers[rows],
            unknown=self.unknown and self.unknown[rows],
            beams=self.beams and self.beams[rows],
        )

    def without_inputs(self) -> "Explanation":
        """The same, without what was received."""
        return msgspec.structs.replace(self, sequences=None, texts=None, unknown=None)


def now() -> float:
    """Seconds since 1970, to the microsecond: no finer than `created` is shown, so that a filter by what is shown finds
    the explanation.
    """
    return round(time.time(), 6)


def steps(weights: FloatArray) -> FloatArray:
    """Weights by step, `(time,)`: as they are when shared, the mean over features of `(time, feature)`."""
    return weights if weights.ndim == 1 else weights.mean(axis=1)


def steps_of(attention: Ragged) -> Ragged:
    """The weights by step of many sequences, see `steps`."""
    if attention.values.ndim == 1:
        return attention
    return Ragged(steps(attention.values), attention.lengths, time=attention.time)
