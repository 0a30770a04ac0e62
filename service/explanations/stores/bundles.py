"""Explanations of one model, end to end: what a store keeps as one record.

Those that are committed together are encoded together, since each array of its own costs as much as many steps in one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import msgspec
import numpy as np
from uuid_utils import UUID

from service.explanations.record import Explanation, Ragged

T = TypeVar("T")
ID = 16  # bytes, of which the first 6 are the milliseconds since 1970
CLOCKS_S = 1.0  # an id is made a moment before its explanation
MOST, MOST_BYTES = 128, 256_000  # explanations that are kept in one record, and their size: to read one reads them all
INT, FLOAT = np.dtype("<i4"), np.dtype("<f4")  # of what is kept of arrays
SPAN = 5  # bytes
SPAN_DIGITS = 11  # of the id as it is written, one of them a hyphen
HASH = 8  # bytes of a hash that are kept: two sequences share them by chance once in 10^19


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What lists are made of; the first fields of a bundle.

    Attributes:
        ids: of the explanations, 16 bytes each.
        created: seconds since 1970, of each.
        counts: sequences of each.
        labels: of all sequences; None for values and texts.
    """

    ids: bytes
    created: list[float]
    counts: list[int]
    model: str
    version: int
    labels: list[str] | None

    def __len__(self) -> int:
        """How many explanations."""
        return len(self.counts)

    def id(self, index: int) -> bytes:
        """Of the explanation at this place."""
        return self.ids[ID * index : ID * index + ID]

    def index(self, id: bytes) -> int | None:
        """The place of the explanation with this id; None where there is none."""
        return next((index for index in range(len(self)) if self.id(index) == id), None)

    @property
    def rows(self) -> Iterator[slice]:
        """The sequences of each explanation."""
        start = 0
        for count in self.counts:
            yield slice(start, start + count)
            start += count


class Bundle(Head, frozen=True, array_like=True):
    """Explanations of one model. The fields are those of `Explanation`, of all sequences of all explanations."""

    task: str
    features: list[str]
    classes: list[str]
    sequences: Ragged | None
    predictions: np.ndarray
    attention: Ragged | None
    texts: list[str] | None
    answers: list[str] | None
    unknown: list[list[int]] | None
    beams: list[int] | None

    @classmethod
    def join(cls, bundles: Sequence["Bundle"]) -> "Bundle":
        """All of bundles of the same `kind`, at least one."""
        if len(bundles) == 1:
            return bundles[0]
        created = [created for one in bundles for created in one.created]
        counts = [count for one in bundles for count in one.counts]
        return cls(b"".join([one.ids for one in bundles]), created, counts, *_rest(bundles))

    @property
    def kind(self) -> tuple[object, ...]:
        """What bundles that are joined have in common: the span of their ids, the version of a model, and all that may
        be another where that was replaced in its place.
        """
        sequences, attention = self.sequences, self.attention
        return (
            self.ids[:SPAN],
            self.model,
            self.version,
            self.task,
            tuple(self.features),
            tuple(self.classes),
            self.predictions.shape[1:],
            sequences is None or sequences.values.shape[1:],
            attention is None or attention.values.shape[1:],
            attention is None or attention.widths is None,
            self.labels is None,
            self.texts is None,
            self.answers is None,
            self.unknown is None,
            self.beams is None,
        )

    @property
    def last(self) -> bytes:
        """The largest id."""
        ids = self.ids
        return max([ids[start : start + ID] for start in range(0, len(ids), ID)])

    def __iter__(self) -> Iterator[Explanation]:
        return (self._explanation(index, rows) for index, rows in enumerate(self.rows))

    def __getitem__(self, index: int) -> Explanation:
        """The explanation at this place."""
        start = sum(self.counts[:index])
        return self._explanation(index, slice(start, start + self.counts[index]))

    def _explanation(self, index: int, rows: slice) -> Explanation:
        return Explanation(
            id=str(UUID(bytes=self.id(index))),
            created=self.created[index],
            model=self.model,
            version=self.version,
            task=self.task,
            features=self.features,
            classes=self.classes,
            sequences=_cut(self.sequences, rows),
            predictions=self.predictions[rows],
            labels=self.labels and self.labels[rows],
            attention=_cut(self.attention, rows),
            texts=self.texts and self.texts[rows],
            answers=self.answers and self.answers[rows],
            unknown=self.unknown and self.unknown[rows],
            beams=self.beams and self.beams[rows],
        )

    def encode(self) -> bytes:
        """MessagePack, arrays as their shape and little-endian float32 bytes."""
        return _encoder.encode(self)

    def encode_head(self) -> bytes:
        """The head alone."""
        return _encoder.encode((self.ids, self.created, self.counts, self.model, self.version, self.labels))


def encode(explanations: Iterable[Explanation]) -> list[bytes]:
    """All of them as few encoded bundles, each of one version of a model, of one shape, and of ids of one `span`.

    A model that is replaced in its place has a manifest of its own, of which `features` is: the same list stands for
    the same shape, and takes less time than to look at all arrays.
    """
    alike: defaultdict[tuple[object, ...], list[Explanation]] = defaultdict(list)
    for one in explanations:
        when, shape = one.id[:SPAN_DIGITS], id(one.features)
        alike[one.model, one.version, when, shape, one.sequences is None, one.attention is None].append(one)
    return [_encode_one(*some) if len(some) == 1 else _encode_alike(some) for some in alike.values()]


def _encode_one(one: Explanation) -> bytes:
    """The encoded bundle of this one alone, in a third of the time of a bundle of one."""
    fields = (
        bytes.fromhex(one.id.replace("-", "")),
        (one.created,),
        (len(one.predictions),),
        one.model,
        one.version,
        one.labels,
        one.task,
        one.features,
        one.classes,
        None if one.sequences is None else _ragged_to_wire(one.sequences),
        _array_to_wire(one.predictions),
        None if one.attention is None else _ragged_to_wire(one.attention),
        one.texts,
        one.answers,
        one.unknown,
        one.beams,
    )
    return _encoder.encode(fields)


def _encode_alike(some: Sequence[Explanation]) -> bytes:
    """The encoded bundle of explanations of the same version of a model, without making arrays of theirs first."""
    first = some[0]
    fields = (
        bytes.fromhex("".join([one.id for one in some]).replace("-", "")),
        [one.created for one in some],
        [len(one.predictions) for one in some],
        first.model,
        first.version,
        _chain([one.labels for one in some]),
        first.task,
        first.features,
        first.classes,
        _raggeds_to_wire([one.sequences for one in some]),
        _arrays_to_wire([one.predictions for one in some]),
        _raggeds_to_wire([one.attention for one in some]),
        _chain([one.texts for one in some]),
        _chain([one.answers for one in some]),
        _chain([one.unknown for one in some]),
        _chain([one.beams for one in some]),
    )
    return _encoder.encode(fields)


class _Pile:
    """Bundles that are to be joined, how many explanations they have, and their bytes."""

    __slots__ = ("bundles", "count", "size")

    def __init__(self) -> None:
        self.bundles: list[Bundle] = []
        self.count = self.size = 0


def merge(bundles: Iterable[tuple[Bundle, int]]) -> Iterator[Bundle]:
    """Bundles, with their bytes each, as fewer: each of one `kind`, and not much above `MOST`."""
    piles: defaultdict[tuple[object, ...], _Pile] = defaultdict(_Pile)
    for one, length in bundles:
        pile = piles[one.kind]
        pile.bundles.append(one)
        pile.count += len(one.counts)
        pile.size += length
        if pile.count >= MOST or pile.size >= MOST_BYTES:
            yield Bundle.join(piles.pop(one.kind).bundles)
    for pile in piles.values():
        yield Bundle.join(pile.bundles)


def hashes(of: Explanation | Bundle) -> bytes:
    """The `short_hash` of every sequence, in order; none where inputs are not kept."""
    return b"".join([sha256(one).digest()[:HASH] for one in _inputs(of)])


def short_hash(hash: str) -> bytes:
    """What is kept of an `Explanation.hash`."""
    return bytes.fromhex(hash)[:HASH]


def _inputs(of: Explanation | Bundle) -> Iterable[bytes | memoryview]:
    """What every hash is of; without an array for each, which would take longer than its hash."""
    if of.texts is not None:
        return [text.encode() for text in of.texts]
    if of.sequences is None:
        return []
    values = of.sequences.values
    data = memoryview(values.astype(FLOAT, copy=False).tobytes())
    step = FLOAT.itemsize * math.prod(values.shape[1:])
    ends = accumulate((of.sequences.lengths * step).tolist(), initial=0)
    return [data[start:end] for start, end in pairwise(ends)]


def key_of(id: str) -> bytes | None:
    """The id as it is kept; None where it is none."""
    try:
        return UUID(id).bytes
    except ValueError:
        return None


def span(id: bytes) -> tuple[bytes, bytes]:
    """The least and the largest id of the 0.256 s in which this one was made; no bundle reaches into two of them."""
    return id[:SPAN] + bytes(ID - SPAN), id[:SPAN] + b"\xff" * (ID - SPAN)


def least_id(seconds: float) -> bytes:
    """What ids of that time begin with, in seconds since 1970: their milliseconds."""
    return int(max(0, seconds) * 1000).to_bytes(6, "big")


def _rest(parts: Sequence[Bundle]) -> tuple[Any, ...]:
    """The fields of a bundle behind ids, times and counts."""
    first = parts[0]
    return (
        first.model,
        first.version,
        _chain([one.labels for one in parts]),
        first.task,
        first.features,
        first.classes,
        _join([one.sequences for one in parts]),
        np.concatenate([one.predictions for one in parts]),
        _join([one.attention for one in parts]),
        _chain([one.texts for one in parts]),
        _chain([one.answers for one in parts]),
        _chain([one.unknown for one in parts]),
        _chain([one.beams for one in parts]),
    )


def _join(parts: list[Ragged | None]) -> Ragged | None:
    """All of them; None where there is none, which is so of all or of none."""
    return None if parts[0] is None else Ragged.join([part for part in parts if part is not None])


def _cut(part: Ragged | None, rows: slice) -> Ragged | None:
    """What most records hold, all of it, is there already."""
    return part if part is None or len(part) == rows.stop - rows.start else part.cut(rows.start, rows.stop)


def _chain(parts: list[list[T] | None]) -> list[T] | None:
    """See `_join`."""
    return None if parts[0] is None else [one for part in parts if part is not None for one in part]


def to_wire(value: Any) -> Any:
    """What msgspec writes of an array, or of many: an `enc_hook`."""
    return _ragged_to_wire(value) if isinstance(value, Ragged) else _array_to_wire(value)


def _ragged_to_wire(ragged: Ragged) -> tuple[Any, bytes, bytes | None]:
    widths = None if ragged.widths is None else ragged.widths.astype(INT, copy=False).tobytes()
    return _array_to_wire(ragged.values), ragged.lengths.astype(INT, copy=False).tobytes(), widths


def _raggeds_to_wire(parts: list[Ragged | None]) -> tuple[Any, bytes, bytes | None] | None:
    """Of many as of one; None where there is none, which is so of all or of none."""
    some = [part for part in parts if part is not None]
    if not some:
        return None
    widths = [part.widths for part in some if part.widths is not None]
    lengths = _joined([part.lengths for part in some], INT)
    return _arrays_to_wire([part.values for part in some]), lengths, _joined(widths, INT) if widths else None


def _arrays_to_wire(arrays: list[np.ndarray]) -> tuple[tuple[int, ...], bytes]:
    """Of arrays end to end as of one."""
    return (sum(map(len, arrays)), *arrays[0].shape[1:]), _joined(arrays, FLOAT)


def _joined(arrays: list[np.ndarray], dtype: np.dtype) -> bytes:
    return b"".join([(array if array.dtype == dtype else array.astype(dtype)).data for array in arrays])


def _array_to_wire(array: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    return array.shape, array.astype(FLOAT, copy=False).tobytes()


def from_wire(kind: type, value: Any) -> Any:
    """The inverse of `to_wire`: a `dec_hook`."""
    if kind is Ragged:
        values, lengths, widths = value
        ends = np.frombuffer(lengths, INT)
        return Ragged(from_wire(np.ndarray, values), ends, None if widths is None else np.frombuffer(widths, INT))
    shape, data = value
    array = np.frombuffer(data, FLOAT)
    return array if len(shape) == 1 else array.reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)
decode = msgspec.msgpack.Decoder(Bundle, dec_hook=from_wire).decode
BEGINNING = _encoder.encode([None] * len(Bundle.__struct_fields__))[:3]  # of every encoded bundle
decode_head = msgspec.msgpack.Decoder(Head).decode
