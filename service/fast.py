"""Most good requests, read without Python touching a number; whatever this cannot prove right is left to `reading.py`.

simdjson checks the JSON and writes all numbers of the sequences into one buffer, which has lost their nesting. So the
nesting is checked beside it: the body's brackets and commas alone, its skeleton, must be those of sequences of as many
steps of as many features as there are numbers. Types are checked by simdjson (it writes numbers only), finiteness in
the buffer, the fields around by the pydantic model of the request.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import simdjson
from pydantic import ValidationError

from service.arrays import IntArray
from service.manifest import Manifest
from service.ragged import Ragged
from service.schemas import PredictRequest

CACHED = 64  # lengths of so few sequences are kept
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
        time = low if low == high else None
        if time is not None:
            lengths = _equal_lengths(self._skeleton, features, len(self._numbers), time)
        else:
            lengths = _lengths(self._skeleton, features, len(self._numbers))
        if lengths is None or len(lengths) > max_sequences:
            return None
        if time is None and not low <= int(lengths.min()) <= int(lengths.max()) <= high:
            return None
        with np.errstate(over="ignore"):
            values = self._numbers.astype(np.float32)
            finite = math.isfinite(np.add.reduce(values))  # a sum that overflows is for `reading.py` to look into
        return Ragged(values.reshape(-1, features), lengths, time=time) if finite else None


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


def _equal_lengths(skeleton: bytes, features: int, numbers: int, time: int) -> IntArray | None:
    """Steps of each sequence `(sequence,)`, all `time`, or None where the skeleton is not that of such sequences.

    Args:
        skeleton: brackets and commas.
        numbers: how many there are among them.
    """
    count, rest = divmod(numbers, time * features)
    if rest == 0:
        for step in (_step(features), b"") if features == 1 else (_step(features),):
            if skeleton == b"[" + b",".join([_sequence(step, time)] * count) + b"]":
                return _constant(count, time) if count <= CACHED else np.full(count, time, np.int32)
    return None


def _lengths(skeleton: bytes, features: int, numbers: int) -> IntArray | None:
    """Steps of each sequence `(sequence,)`, which is one more than the commas between them, or None where the skeleton
    is not that of sequences.
    """
    step = _step(features)
    flat = features == 1 and not skeleton.startswith(b"[[[")
    marked = skeleton if flat else skeleton.replace(step, b"x")
    pieces = marked[2:-2].split(b"],[")
    lengths = []
    for piece in pieces:
        count = len(piece) + 1 if flat else (len(piece) + 1) // 2
        if piece != (b"," * (count - 1) if flat else (b"x," * count)[:-1]):
            return None
        lengths.append(count)
    if marked[:2] != b"[[" or marked[-2:] != b"]]" or sum(lengths) * features != numbers:
        return None
    return np.array(lengths, np.int32)


@lru_cache
def _step(features: int) -> bytes:
    return b"[" + b"," * (features - 1) + b"]"


@lru_cache
def _sequence(step: bytes, time: int) -> bytes:
    return b"[" + b",".join([step] * time) + b"]"


@lru_cache
def _constant(count: int, time: int) -> IntArray:
    lengths = np.full(count, time, np.int32)
    lengths.flags.writeable = False  # it is everybody's
    return lengths
