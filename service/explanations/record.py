"""One kept explanation: everything an answer was made of, readable without the model that made it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from service.arrays import FloatArray
from service.ragged import Ragged

__all__ = ["Explanation", "Ragged", "steps"]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of one request with their predictions and weights.

    Attributes:
        id: UUID version 7, so that ids sort by time.
        created: seconds since 1970.
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

    def without_inputs(self) -> "Explanation":
        """The same, without what was received."""
        return msgspec.structs.replace(self, sequences=None, texts=None, unknown=None)

    def encode(self) -> bytes:
        """MessagePack, arrays as their shape and little-endian float32 bytes."""
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Explanation":
        """The inverse of `encode`."""
        return _decoder.decode(data)


def steps(weights: FloatArray) -> FloatArray:
    """Weights by step, `(time,)`: as they are when shared, the mean over features of `(time, feature)`."""
    return weights if weights.ndim == 1 else weights.mean(axis=1)


def _to_wire(value: Any) -> Any:
    if isinstance(value, Ragged):
        widths = None if value.widths is None else value.widths.astype("<i4").tobytes()
        return _to_wire(value.values), value.lengths.astype("<i4").tobytes(), widths
    return value.shape, np.ascontiguousarray(value, "<f4").tobytes()


def _from_wire(kind: type, value: Any) -> Any:
    if kind is Ragged:
        values, lengths, widths = value
        ends = np.frombuffer(lengths, "<i4")
        return Ragged(_from_wire(np.ndarray, values), ends, None if widths is None else np.frombuffer(widths, "<i4"))
    shape, data = value
    return np.frombuffer(data, "<f4").reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_decoder = msgspec.msgpack.Decoder(Explanation, dec_hook=_from_wire)
