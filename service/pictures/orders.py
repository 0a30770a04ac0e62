"""What a picture is of, and how the server (`renderer.py`) tells the process that draws it (`process.py`).

Charts are not made in the server, and this imports nothing that makes them: Altair takes its time, and holds Python's
lock meanwhile.

    request     the size (8 bytes, big-endian), an encoded `Order`
    answer      whether it is the picture or what went wrong (1 byte), the size (8 bytes, big-endian), as many bytes
"""

import struct
from typing import Any

import msgspec

from service.explanations.charts.formats import Drawn, ThemeName
from service.explanations.charts.left_out import LeftOut
from service.explanations.record import Explanation
from service.explanations.stores.bundles import from_wire, to_wire

REQUEST, ANSWER = struct.Struct(">Q"), struct.Struct(">?Q")  # what is sent before each
MOST = 12  # sequences of a request that are drawn above each other


class Attention(msgspec.Struct, frozen=True, tag=True):
    """A sequence with its weights; see `charts.explanation_chart`.

    Attributes:
        explanation: of this sequence alone.
        left_out: None where it is not to be drawn.
    """

    explanation: Explanation
    left_out: LeftOut | None = None


class Occlusion(msgspec.Struct, frozen=True, tag=True):
    """A sequence with what leaving out each step changes, see `Attention`."""

    explanation: Explanation
    left_out: LeftOut


class Faithfulness(msgspec.Struct, frozen=True, tag=True):
    """A sequence, its weights by step, and what leaving out each step changes; see `Attention`."""

    explanation: Explanation
    weights: list[float]
    left_out: LeftOut
    verdict: str


class All(msgspec.Struct, frozen=True, tag=True):
    """The first sequences of a request, of so many."""

    explanation: Explanation
    count: int


class Two(msgspec.Struct, frozen=True, tag=True):
    """A sequence of each of two requests, see `Attention`."""

    a: Explanation
    b: Explanation


class Profile(msgspec.Struct, frozen=True, tag=True):
    """The answer of `GET /attention/summary`."""

    summary: dict[str, Any]


Subject = Attention | Occlusion | Faithfulness | All | Two | Profile


class Order(msgspec.Struct, frozen=True, array_like=True):
    """A picture of something; or, of nothing, the JavaScript that draws definitions in a browser."""

    subject: Subject | None
    format: Drawn
    theme: ThemeName


encode = msgspec.msgpack.Encoder(enc_hook=to_wire).encode
decode = msgspec.msgpack.Decoder(Order, dec_hook=from_wire).decode
