"""One request of the protocol, read: which model, its sequences, what is wanted of the answer."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from service import reading
from service.blocks import read_block
from service.errors import Invalid
from service.manifest import Manifest
from service.models.loading import Model
from service.open_inference.answers import Answer
from service.open_inference.schemas import InferRequest
from service.open_inference.tensors import read_tensors
from service.predictor import Prediction, Predictor
from service.ragged import Ragged
from service.schemas.predict import PredictRequest
from service.settings import Settings

KNOWN, LONGEST = 256, 1000  # JSON parts that are kept, and bytes of one: a client sends the same again and again
LONGEST_S = 3600.0  # of a deadline


@dataclass(frozen=True)
class Asked:
    """The JSON part of a request.

    Attributes:
        fields: what it says as a POST /predict would.
    """

    request: InferRequest
    fields: PredictRequest


def read(
    predictor: Predictor,
    settings: Settings,
    name: str,
    version: int | None,
    header_length: str | None,
    body: bytes,
    answer: Answer,
) -> Prediction:
    """Reads a request; see `Predictor.admit`.

    Args:
        header_length: the header Inference-Header-Content-Length; None where all of the body is JSON.
        answer: is told what is wanted of it.

    Raises:
        HttpError: it is at fault; says how.
        NotLoaded: the model is not in memory.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    head, binary = body[:length], memoryview(body)[length:]
    known = len(head) + len(name) <= LONGEST
    asked = _read_known(name, version, head) if known else _read_head(name, version, head)

    def read_sequences(model: Model) -> Prediction:
        items, texts, time = _read_items(asked.request, binary, model, settings)
        answer.asked(asked.request, model, items, time)
        return Prediction(model, asked.fields, items, texts, answer.write, labelled=answer.labelled)

    return predictor.admit(asked.fields, read_sequences)


def _length(text: str, size: int) -> int:
    """Bytes of the JSON part."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and 0 < int(text) <= size):
        place = "the header Inference-Header-Content-Length"
        raise Invalid.at(place, f"bytes of the JSON part, 1 to the {size} of the body", text[:40])
    return int(text)


def _read_head(name: str, version: int | None, head: bytes) -> Asked:
    request = reading.read_json(head, InferRequest)
    fields = {"model": name, "version": version, "sequences": reading.PLACEHOLDER, **_options(request.parameters or {})}
    try:
        return Asked(request, PredictRequest.model_validate(fields))
    except ValidationError as error:
        faults = [reading.request_fault(detail, PredictRequest) for detail in error.errors(include_url=False)]
        placed = [fault.model_copy(update={"pointer": f"/parameters{fault.pointer}"}) for fault in faults]
        raise Invalid(placed) from error


_read_known = lru_cache(KNOWN)(_read_head)


def _options(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters that we know, as fields of POST /predict. Others are other servers', and change nothing.

    Raises:
        Invalid: the parameters ask for what cannot be ignored.
    """
    if parameters.get("sequence_id"):
        raise Invalid.at("/parameters/sequence_id", "none, because models keep no state between requests", "one")
    options: dict[str, Any] = {name: parameters[name] for name in ("deadline", "beam") if name in parameters}
    options["store"] = parameters.get("store", False)
    timeout, priority = parameters.get("timeout"), parameters.get("priority")
    if timeout and "deadline" not in options:
        options["deadline"] = min(timeout / 1e6, LONGEST_S) if isinstance(timeout, int) else timeout
    if priority is not None:  # Triton's are numbers: 0 the default, 1 the highest
        number = isinstance(priority, int) and priority >= 0
        options["priority"] = ("background" if priority > 1 else "interactive") if number else priority
    return options


def _read_items(
    request: InferRequest, binary: memoryview, model: Model, settings: Settings
) -> tuple[Ragged, list[str] | None, int]:
    """The sequences, the texts they were, and the steps they are padded to."""
    limits = (settings.max_sequences, settings.max_steps)
    arrays = read_tensors(request.inputs, binary, datatypes(model.manifest))
    sequences, lengths = arrays.get("sequences"), arrays.get("lengths")
    if sequences is None:
        raise Invalid.at("/inputs", "an input sequences", "none")
    if isinstance(sequences, list):
        assert model.codec is not None  # noqa: S101 (datatypes says so)
        texts = reading.read_texts(sequences, model.manifest, *limits)
        items = Ragged.of([model.codec.encode(text) for text in texts])
        return items, texts, items.longest
    assert not isinstance(lengths, list)  # noqa: S101
    return read_block(sequences, lengths, model.manifest, *limits), None, sequences.shape[1]


def datatypes(manifest: Manifest) -> dict[str, str]:
    """The inputs of a model, and the datatype of each."""
    return {"sequences": "BYTES"} if manifest.vocabulary is not None else {"sequences": "FP32", "lengths": "INT32"}
