"""A request read strictly, so that what runs is exactly what was sent.

A number is a JSON number, not a text or a boolean, and finite also as float32. (ONNX Runtime's CPU LSTM turns a NaN
into a finite, wrong answer.) Whatever is wrong is answered with the place, what was expected there and what was
received. `fast.py` reads most good requests much faster, and leaves the others to this.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from service.arrays import FloatArray
from service.errors import Fault, Invalid, NotJson
from service.manifest import Manifest
from service.ragged import Ragged
from service.schemas.predict import PredictRequest

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MAX_FAULTS = 1000  # enough to count
PLACEHOLDER: list[Any] = [None]  # for the sequences, where the fields around them are read
# Of what pydantic says, that which does not go on from "expected".
WORDS = {
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "{max_length} or fewer characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "too_long": "{max_length} or fewer",
    "int_parsing_size": "a valid integer",
}
PARSED = ("_parsing", "_from_float", "_unicode")  # ends of kinds whose message goes on with how parsing failed
B = TypeVar("B", bound=BaseModel)


def read_request(body: bytes) -> PredictRequest:
    """Reads the body of POST /predict; its sequences are still to be read by `read_sequences`.

    Raises:
        NotJson: it is not JSON.
        Invalid: it is not a request.
    """
    return read_json(body, PredictRequest)


def read_json(body: bytes, kind: type[B]) -> B:
    """Reads a body.

    Raises:
        NotJson: it is not JSON.
        Invalid: it is not of that kind.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            raise NotJson(f"expected JSON, received: {details[0]['ctx']['error']}") from error
        raise Invalid([request_fault(detail, kind) for detail in details]) from error


def read_query(query: Mapping[str, str]) -> PredictRequest:
    """What the query of a POST /predict says, whose body holds nothing but sequences; they are still to be read.

    Raises:
        Invalid: it is not as it should be.
    """
    try:
        return PredictRequest.model_validate({**query, "sequences": PLACEHOLDER}, strict=False)
    except ValidationError as error:
        faults = [request_fault(detail, PredictRequest) for detail in error.errors(include_url=False)]
        placed = [fault.model_copy(update={"pointer": f"the query parameter {fault.pointer[1:]}"}) for fault in faults]
        raise Invalid(placed) from error


def read_sequences(sequences: list[Any], manifest: Manifest, max_sequences: int, max_steps: int) -> Ragged:
    """Turns the sequences of a request into arrays `(time, feature)`.

    Args:
        sequences: as parsed from JSON.
        manifest: of the model they are for.
        max_sequences: sequences the server takes in one request.
        max_steps: steps the server takes in one sequence.

    Raises:
        Invalid: with a pointer to the first fault of every sequence that has one. (Looking for more would make a body
            of nothing but faults cost far more than a good one.)
    """
    _check_count(sequences, max_sequences)
    arrays: list[FloatArray] = []
    faults: list[Fault] = []
    for i, sequence in enumerate(sequences):
        found = _read_sequence(sequence, manifest, max_steps)
        if isinstance(found, np.ndarray):
            arrays.append(found)
        else:
            faults.extend(
                Fault(pointer=f"/sequences/{i}{f.pointer}", **f.model_dump(exclude={"pointer"})) for f in found
            )
        if len(faults) >= MAX_FAULTS:
            break
    if faults:
        raise Invalid(faults)
    return Ragged.of(arrays)


def read_texts(sequences: list[Any], manifest: Manifest, max_sequences: int, max_steps: int) -> list[str]:
    """Holds the sequences of a request to be texts; arguments and errors are those of `read_sequences`."""
    _check_count(sequences, max_sequences)
    longest = min(manifest.lengths.max or max_steps, max_steps)
    faults = []
    for i, text in enumerate(sequences):
        if not isinstance(text, str):
            faults.append(_fault(f"/sequences/{i}", "a text", describe(text)))
        elif not manifest.lengths.min <= len(text) <= longest:
            expected = f"{manifest.lengths.min} to {longest} characters"
            faults.append(_fault(f"/sequences/{i}", expected, f"{len(text)}"))
    if faults:
        raise Invalid(faults)
    return sequences


def _check_count(sequences: list[Any], max_sequences: int) -> None:
    if len(sequences) > max_sequences:
        raise Invalid.at("/sequences", f"at most {max_sequences} sequences", f"{len(sequences)}")


def _read_sequence(sequence: Any, manifest: Manifest, max_steps: int) -> FloatArray | list[Fault]:
    """One sequence as an array, or what is wrong with it; pointers are relative to the sequence."""
    features = len(manifest.features)
    low, high = manifest.lengths.min, min(manifest.lengths.max or max_steps, max_steps)
    if isinstance(sequence, list) and not low <= len(sequence) <= high:
        expected = f"{low}" if low == high else f"{low} to {high}"
        return [_fault("", f"{expected} time steps", f"{len(sequence)}")]
    flat = features == 1 and isinstance(sequence, list) and not any(isinstance(step, list) for step in sequence[:1])
    try:
        values = _adapter(None if flat else features).validate_python(sequence)
    except ValidationError as error:
        return [_value_fault(detail, manifest) for detail in error.errors(include_url=False)]
    with np.errstate(over="ignore"):  # found below, with its place
        array = np.array(values, np.float32).reshape(len(values), features)
    if not np.isfinite(array).all():
        return [_overflow(array, values, flat)]
    return array


@lru_cache
def _adapter(features: int | None) -> TypeAdapter[list[Any]]:
    """Checks one sequence: a list of numbers, or of lists of `features` numbers."""
    if features is None:
        return TypeAdapter(Annotated[list[Number], FailFast()])
    row = Annotated[list[Number], FailFast(), Field(min_length=features, max_length=features)]
    return TypeAdapter(Annotated[list[row], FailFast()])


def _overflow(array: FloatArray, values: list[Any], flat: bool) -> Fault:
    step, feature = np.argwhere(~np.isfinite(array))[0].tolist()
    pointer = f"/{step}" if flat else f"/{step}/{feature}"
    value = values[step] if flat else values[step][feature]
    return _fault(pointer, "a number that fits float32 (at most 3.4e38 in size)", describe(value))


def _value_fault(detail: ErrorDetails, manifest: Manifest) -> Fault:
    """What pydantic found wrong inside a sequence, in the words of sequences."""
    place = detail["loc"]
    pointer = _pointer(place)
    kind, value = detail["type"], detail["input"]
    names = ", ".join(manifest.features[:20]) + ", ..." * (len(manifest.features) > 20)
    step = f"a list of {len(manifest.features)} numbers ({names})"
    if kind in ("too_long", "too_short"):
        return _fault(pointer, step, f"a list of {detail['ctx']['actual_length']}")
    if kind == "finite_number":
        return _fault(pointer, "a finite number", describe(value))
    if kind == "list_type":
        return _fault(pointer, step if place else f"a list of time steps ({manifest.sequences_shape})", describe(value))
    return _fault(pointer, "a number", describe(value))


def request_fault(detail: ErrorDetails, kind: type[BaseModel]) -> Fault:
    """What pydantic found wrong with a request; of POST /predict, around the sequences."""
    pointer = _pointer(detail["loc"])
    if detail["type"] == "missing":
        return _fault(pointer, "this field", "nothing")
    if detail["type"] == "extra_forbidden":
        fields = ", ".join(kind.model_fields)
        return _fault(pointer, f"no such field (the fields are {fields})", describe(detail["input"]))
    if detail["type"] == "too_short":
        return _fault(pointer, f"at least one {str(detail['loc'][-1]).removesuffix('s')}", "none")
    return _fault(pointer, expected_by(detail), describe(detail["input"]))


def parameter_fault(detail: ErrorDetails) -> Fault:
    """What pydantic found wrong with a parameter of the path or of the query."""
    pointer = f"the {detail['loc'][0]} parameter {detail['loc'][-1]}"
    if detail["type"] == "missing":
        return _fault(pointer, "this parameter", "nothing")
    return _fault(pointer, expected_by(detail), describe(detail["input"]))


def expected_by(detail: ErrorDetails) -> str:
    """What pydantic expected, in words that go on from "expected"."""
    kind, message = detail["type"], detail["msg"].removeprefix("Input should be ")
    if kind in WORDS:
        return WORDS[kind].format_map(detail.get("ctx", {}))
    return message.partition(", ")[0] if kind.endswith(PARSED) else message


def _pointer(place: tuple[int | str, ...]) -> str:
    """As a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def _fault(pointer: str, expected: str, received: str) -> Fault:
    return Fault(pointer=pointer, expected=expected, received=received)


def describe(value: Any) -> str:
    """A JSON value, or bytes, in a few words, for an error message."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int) and value.bit_length() > 64:
        return "an integer beyond 64 bits"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = json.dumps(value)  # null, true, NaN, Infinity and quoted text as JSON has them
    return text if len(text) <= 60 else text[:59] + "…"
