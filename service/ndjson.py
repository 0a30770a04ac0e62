"""The lines of a stream: cut out of what comes, read one by one, and answered; see streams.py."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, from_json

from service import fast, reading, wire
from service.errors import HttpError, Invalid, NotJson, TooLarge
from service.explanations.record import Explanation, steps
from service.models.loading import Model
from service.ragged import Ragged
from service.schemas.predict import PredictRequest, UnknownCharacter


def _check_id(value: Any) -> Any:
    """Holds an id to what an answer can hold, since it is repeated there.

    Raises:
        PydanticCustomError: it is something else.
    """
    if value is None or isinstance(value, str) or (type(value) is int and -(2**63) <= value < 2**64):
        return value
    raise PydanticCustomError("id", "a text or an integer of 64 bits")


class Line(BaseModel):
    """A line that is an object."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sequence: Any
    id: Annotated[str | int | None, BeforeValidator(_check_id)] = None


class LineResponse(BaseModel):
    """The answer to a line; or a problem (see the errors) with `line` and `id`."""

    line: int = Field(description="of the request, from 1")
    id: str | int | None = Field(default=None, description="of the line; absent where it had none")
    prediction: float | list[float] | str = Field(description="see PredictResponse")
    probability: float | None = Field(default=None, description="of the text; absent where none is written")
    unknown: list[UnknownCharacter] | None = Field(default=None, description="see PredictResponse")
    label: str | None = Field(default=None, description="the most probable label; absent for values and texts")
    attention: list[float] | list[list[float]] | None = Field(description="see PredictResponse")


class Endless(TooLarge):
    """A line is over the limit; where the next one begins is not known."""

    def __init__(self, detail: str, line: int) -> None:
        super().__init__(detail)
        self.line = line


class Lines:
    """Cuts what comes into lines.

    Args:
        longest: bytes of a line.

    Attributes:
        error: a line that is longer; what comes behind it is not looked at.
    """

    def __init__(self, longest: int) -> None:
        self._longest, self._rest, self._count = longest, bytearray(), 0
        self.error: Endless | None = None

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """The lines that are complete by now, with their numbers from 1; without empty ones."""
        *ends, rest = chunk.split(b"\n")
        lines = [line for end in ends if self._add(end) and (line := self._end())[1]]
        self._add(rest)
        return lines

    def finish(self) -> list[tuple[int, bytes]]:
        """The last line, where it does not end with a newline."""
        return [line] if self.error is None and (line := self._end())[1] else []

    def _add(self, more: bytes) -> bool:
        """Adds to the line that has begun."""
        if self.error is None and len(self._rest) + len(more) > self._longest:
            expected = f"expected lines of at most {self._longest} bytes"
            self.error = Endless(f"{expected}, received more in line {self._count + 1}", self._count + 1)
        if self.error is None:
            self._rest += more
        return self.error is None

    def _end(self) -> tuple[int, bytes]:
        line = bytes(self._rest).strip()
        self._rest.clear()
        self._count += 1
        return self._count, line


class Entry:
    """One line on its way: read, or refused, and answered.

    Args:
        number: of the line.
        request_id: for the errors.

    Attributes:
        items: its one sequence; None where the line is at fault.
        text: where the sequence is one.
    """

    __slots__ = ("_answer", "_id", "_number", "_request_id", "items", "text")

    def __init__(self, number: int, request_id: str) -> None:
        self._number, self._request_id = number, request_id
        self._id: str | int | None = None
        self._answer: dict[str, Any] = {}
        self.items: Ragged | None = None
        self.text: str | None = None

    def read(self, line: bytes, model: Model, max_steps: int) -> None:
        """Reads the line, or refuses it."""
        request = None if model.codec else fast.read(b'{"sequences":[%s]}' % line)
        self.items = request.sequences(model.manifest, 1, max_steps) if request else None
        if self.items is None:
            try:
                self._read_strictly(line, model, max_steps)
            except HttpError as error:
                self.refuse(error)

    def refuse(self, error: HttpError) -> None:
        """Has the error answered."""
        placed = _within(error, "") if isinstance(error, Invalid) else error
        self._answer = placed.problem(self._request_id)

    def answer(self, explanation: Explanation, index: int, request: PredictRequest) -> None:
        """Has the prediction answered that has this index in the explanation."""
        self._answer = _describe(explanation, index, request)

    def write(self) -> bytes:
        """The line of the answer."""
        named = {} if self._id is None else {"id": self._id}
        return wire.dump({"line": self._number, **named, **self._answer}) + b"\n"

    def _read_strictly(self, line: bytes, model: Model, max_steps: int) -> None:
        """Reads a line of any kind.

        Raises:
            HttpError: it is at fault; says how.
        """
        sequence, place = _parse(line), ""
        if isinstance(sequence, dict):
            found = reading.read_json(line, Line)
            sequence, self._id, place = found.sequence, found.id, "/sequence"
        try:
            if model.codec is None:
                self.items = reading.read_sequences([sequence], model.manifest, 1, max_steps)
            else:
                self.text = reading.read_texts([sequence], model.manifest, 1, max_steps)[0]
                self.items = Ragged.of([model.codec.encode(self.text)])
        except Invalid as error:
            raise _within(error, place) from error


def _parse(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError as error:
        raise NotJson(f"expected JSON, received: {error}") from error


def _within(error: Invalid, place: str) -> Invalid:
    """The same faults, in a line and not in a request."""
    return Invalid(
        [
            fault.model_copy(update={"pointer": place + fault.pointer.removeprefix("/sequences/0")})
            for fault in error.faults
        ]
    )


def _describe(explanation: Explanation, index: int, request: PredictRequest) -> dict[str, Any]:
    """The answer to one line; see `LineResponse`."""
    answer: dict[str, Any] = {}
    if explanation.answers is not None:
        answer["prediction"], answer["probability"] = explanation.answers[index], explanation.predictions[index, 0]
        answer["unknown"] = wire.unknown(explanation, index)
    else:
        answer["prediction"] = wire.squeeze(explanation.predictions)[index]
    if explanation.labels is not None:
        answer["label"] = explanation.labels[index]
    weights = None if explanation.attention is None else explanation.attention[index]
    if weights is not None and explanation.answers is None and request.attention == "per_step":
        weights = steps(weights)
    answer["attention"] = weights
    return answer
