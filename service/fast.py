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

from service.arrays import IntArray
from service.manifest import Manifest
from service.ragged import Ragged
from service.schemas.predict import PredictRequest

CACHED = 64  # lengths of so few sequences are kept
KNOWN, LONGEST_FRAME = 256, 256  # frames that are kept, and bytes of one
LARGEST_SQUARE = 1e76  # sum of squares of numbers that are all within float32
# Bytes. A larger one is read on a thread, off the fast path, by a parser of its own: each keeps memory for its largest.
LARGE_BODY = 1_000_000
_DROPPED = bytes(set(range(256)) - set(b"[],"))
_PLACEHOLDER: list[Any] = [None]  # for the sequences, where the fields around them are checked
_parser = simdjson.Parser()
_known: dict[tuple[bytes, bytes], PredictRequest] = {}
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
        if not np.vdot(self._numbers, self._numbers) < LARGEST_SQUARE:  # for `reading.py` to look into
            return None
        return Ragged(self._numbers.astype(np.float32).reshape(-1, features), lengths, time=time)


def read(body: bytes) -> FastRequest | None:
    """Reads the body of a POST /predict; None where it is not a plain one."""
    start, stop = body.find(b"["), body.rfind(b"]") + 1
    frame = body[:start], body[stop:]
    fields = _known.get(frame)
    parser = _parser if len(body) < LARGE_BODY else simdjson.Parser()
    document: Any = None
    try:
        document = parser.parse(body)
        numbers = np.frombuffer(document["sequences"].as_buffer(of_type="d"))
        if fields is None:
            fields = _read_fields(document, frame)
    except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
        return None
    finally:
        document = None
    if fields is None or not len(numbers):
        return None
    # Only the sequences hold brackets: the other fields are plain values, and the name of a model has none either.
    return FastRequest(fields, numbers, body[start:stop].translate(None, _DROPPED))


def _read_fields(document: Any, frame: tuple[bytes, bytes]) -> PredictRequest | None:
    """The fields around the sequences, which are the same wherever the bytes around them, the frame, are.

    Raises:
        ValueError: they are not as they should be (pydantic's, or simdjson's).
    """
    if frame[0][:1] != b"{":  # no byte order mark, which simdjson would skip
        return None
    names = list(document.keys())
    fields = {name: document[name] for name in names if name != "sequences"}
    if len(fields) + 1 != len(names):  # a name twice: which one counts is pydantic's to say
        return None
    request: PredictRequest = _validate({**fields, "sequences": _PLACEHOLDER})
    if frame[0].endswith(b'"sequences":') and len(frame[0]) + len(frame[1]) < LONGEST_FRAME:
        if len(_known) >= KNOWN:
            _known.clear()
        _known[frame] = request
    return request


def _equal_lengths(skeleton: bytes, features: int, numbers: int, time: int) -> IntArray | None:
    """Steps of each sequence `(sequence,)`, all `time`, or None where the skeleton is not that of such sequences.

    Args:
        skeleton: brackets and commas.
        numbers: how many there are among them.
    """
    count, rest = divmod(numbers, time * features)
    if rest == 0:
        for step in (_step(features), b"") if features == 1 else (_step(features),):
            if skeleton == b"[%s]" % _repeated(b"[%s]" % _repeated(step, time), count):
                return _constant(count, time) if count <= CACHED else np.full(count, time, np.int32)
    return None


def _lengths(skeleton: bytes, features: int, numbers: int) -> IntArray | None:
    """Steps of each sequence `(sequence,)`, which is one more than the commas between them, or None where the skeleton
    is not that of sequences.
    """
    step = _step(features)
    flat = features == 1 and not skeleton.startswith(b"[[[")
    first = skeleton.find(b"]") - 1 if flat else skeleton.find(b"]]") // (len(step) + 1)  # steps of the first
    if first > 0 and (lengths := _equal_lengths(skeleton, features, numbers, first)) is not None:
        return lengths
    marked = skeleton if flat else skeleton.replace(step, b"x")
    pieces = marked[2:-2].split(b"],[")
    counts = []
    for piece in pieces:
        count = len(piece) + 1 if flat else (len(piece) + 1) // 2
        if piece != (b"," * (count - 1) if flat else (b"x," * count)[:-1]):
            return None
        counts.append(count)
    if marked[:2] != b"[[" or marked[-2:] != b"]]" or sum(counts) * features != numbers:
        return None
    return np.array(counts, np.int32)


@lru_cache
def _step(features: int) -> bytes:
    return b"[" + b"," * (features - 1) + b"]"


def _repeated(piece: bytes, times: int) -> bytes:
    """With commas between."""
    return (piece + b",") * (times - 1) + piece


@lru_cache
def _constant(count: int, time: int) -> IntArray:
    lengths = np.full(count, time, np.int32)
    lengths.flags.writeable = False  # it is everybody's
    return lengths
