"""Most good requests, read without Python touching a number; whatever this cannot prove right is left to `reading.py`.

simdjson checks the JSON and writes all numbers of the sequences into one buffer, which has lost their nesting. So the
nesting is checked beside it: the body's brackets and commas alone, its skeleton, must be those of sequences of as many
steps of as many features as there are numbers. Types are checked by simdjson (it writes numbers only), finiteness in
the buffer, the fields around by the pydantic model of the request.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import simdjson
from pydantic import ValidationError

from service.arrays import IntArray
from service.manifest import Manifest
from service.ragged import Ragged
from service.schemas import PredictRequest

LARGE = 1_000_000  # bytes; a parser keeps the memory of the largest body it has read
_DROPPED = bytes(set(range(256)) - set(b"[],"))
_PLACEHOLDER: list[Any] = [None]  # for the sequences, where the fields around them are checked
_parser = simdjson.Parser()
_validate = PredictRequest.__pydantic_validator__.validate_python


class FastRequest:
    """A request whose sequences are numbers, not yet known to be nested as its model wants.

    Attributes:
        fields: all but the sequences.
    """

    __slots__ = ("_numbers", "_skeleton", "fields")

    def __init__(self, fields: PredictRequest, numbers: np.ndarray, skeleton: bytes) -> None:
        self.fields, self._numbers, self._skeleton = fields, numbers, skeleton

    def sequences(self, manifest: Manifest, max_sequences: int, max_steps: int) -> Ragged | None:
        """The sequences, `(time, feature)` each, or None where they are not proven to be right.

        Args:
            manifest: of the model they are for.
            max_sequences: sequences the server takes in one request.
            max_steps: steps the server takes in one sequence.
        """
        if manifest.vocabulary is not None:
            return None
        features = len(manifest.features)
        low, high = manifest.lengths.min, min(manifest.lengths.max or max_steps, max_steps)
        lengths = _lengths(self._skeleton, features, len(self._numbers), low if low == high else None)
        if lengths is None or len(lengths) > max_sequences:
            return None
        if low != high and not low <= int(lengths.min()) <= int(lengths.max()) <= high:
            return None
        with np.errstate(over="ignore"):
            values = self._numbers.astype(np.float32)
        if not np.isfinite(values).all():
            return None
        return Ragged(values.reshape(-1, features), lengths)


def read(body: bytes) -> FastRequest | None:
    """Reads the body of a POST /predict; None where it is not a plain one."""
    if body[:1] != b"{":  # no byte order mark, which simdjson would skip
        return None
    parser = _parser if len(body) < LARGE else simdjson.Parser()
    document: Any = None
    try:
        document = parser.parse(body)
        names = list(document.keys())
        numbers = np.frombuffer(document["sequences"].as_buffer(of_type="d"))
        fields = {name: document[name] for name in names if name != "sequences"}
    except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
        return None
    finally:
        document = None
    if len(fields) + 1 != len(names) or not len(numbers):  # a name twice: which one counts is pydantic's to say
        return None
    try:
        request = _validate({**fields, "sequences": _PLACEHOLDER})
    except ValidationError:
        return None
    # Only the sequences hold brackets: the other fields are plain values, and the name of a model has none either.
    return FastRequest(request, numbers, body[body.index(b"[") : body.rindex(b"]") + 1].translate(None, _DROPPED))


def _lengths(skeleton: bytes, features: int, numbers: int, time: int | None) -> IntArray | None:
    """Steps of each sequence `(sequence,)`, or None where the skeleton is not that of sequences.

    Args:
        skeleton: brackets and commas.
        numbers: how many there are among them.
        time: steps of every sequence, where they all have as many.
    """
    if time is not None and numbers % (time * features) == 0:
        count = numbers // (time * features)
        for step in (_step(features), b"") if features == 1 else (_step(features),):
            if skeleton == b"[" + b",".join([_sequence(step, time)] * count) + b"]":
                return np.full(count, time, np.int32)
        return None
    lengths = _ragged_lengths(skeleton, features)
    return lengths if lengths is not None and int(lengths.sum()) * features == numbers else None


def _ragged_lengths(skeleton: bytes, features: int) -> IntArray | None:
    """The lengths; each is one more than the commas between the steps of a sequence."""
    step = _step(features)
    flat = features == 1 and not skeleton.startswith(b"[[[")
    inner = skeleton[2:-2] if flat else skeleton.replace(step, b"x")[2:-2]
    pieces = inner.split(b"],[")
    lengths = []
    for piece in pieces:
        count = len(piece) + 1 if flat else (len(piece) + 1) // 2
        if piece != (b"," * (count - 1) if flat else (b"x," * count)[:-1]):
            return None
        lengths.append(count)
    whole = b"[[" + inner + b"]]"
    return np.array(lengths, np.int32) if (skeleton if flat else skeleton.replace(step, b"x")) == whole else None


@lru_cache
def _step(features: int) -> bytes:
    return b"[" + b"," * (features - 1) + b"]"


@lru_cache
def _sequence(step: bytes, time: int) -> bytes:
    return b"[" + b",".join([step] * time) + b"]"
