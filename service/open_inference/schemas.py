"""The JSON bodies of the protocol, as documented in /docs. Fields unknown to us are other servers', and ignored."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.attention import SequenceExplanation

Datatype = Literal["FP32", "INT32", "BYTES"]
MAX_TENSORS = 16  # far more than any model has
MAX_RANK = 16


class Strict(BaseModel):
    """Base of what is received: a number is no text."""

    model_config = ConfigDict(strict=True)


class InputTensor(Strict):
    """An array that goes into a model."""

    name: str = Field(examples=["sequences"])
    shape: list[int] = Field(max_length=MAX_RANK, examples=[[1, 20, 2]])
    datatype: str = Field(examples=["FP32"])
    data: list[Any] | None = Field(
        default=None, description="flat, row by row, or nested as the shape; left out where it is binary"
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="`binary_data_size`: the data are so many bytes behind the JSON, in the order of the inputs",
    )


class RequestedOutput(Strict):
    """An array that is wanted."""

    name: str = Field(examples=["attention"])
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data`: whether the array comes as bytes behind the JSON"
    )


class InferRequest(Strict):
    """Arrays to predict from."""

    id: str | None = Field(default=None, description="of the request; the answer has it, too")
    inputs: list[InputTensor] = Field(
        min_length=1,
        max_length=MAX_TENSORS,
        description="`sequences`, and `lengths` where not all of them are full",
    )
    outputs: list[RequestedOutput] | None = Field(
        default=None, max_length=MAX_TENSORS, description="the arrays that are wanted, in this order; default: all"
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="`deadline`: seconds, or `timeout`: microseconds; `priority`: interactive (or 0, 1) or background "
        "(or 2 and more); `store`: true keeps the explanation, whose id is then in the answer's parameters; `beam`: "
        "as in POST /predict; `binary_data_output`: all arrays of the answer come as bytes behind the JSON",
    )


class OutputTensor(BaseModel):
    """An array that a model gave."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[float] | list[str] | None = Field(default=None, description="flat, row by row; absent where binary")
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`: bytes behind the JSON, in the order of the outputs"
    )


class InferResponse(BaseModel):
    """What the model gave, by the names of its metadata."""

    model_name: str
    model_version: str
    id: str | None = Field(default=None, description="of the request; absent where it had none")
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="`explanation`: the id under which it is kept, see /attention/{id}; `store_error`: that it could "
        "not be; absent where it was not to be kept",
    )
    outputs: list[OutputTensor]


class ExplainResponse(BaseModel):
    """The explanation of each sequence, as under /attention/{id}."""

    model_name: str
    model_version: str
    id: str | None = Field(default=None, description="see InferResponse")
    parameters: dict[str, Any] | None = Field(default=None, description="see InferResponse")
    explanations: list[SequenceExplanation]


class ServerMetadata(BaseModel):
    """What this server is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """What an array of a model is."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="-1 where it may differ")


class ModelMetadata(BaseModel):
    """What a version of a model takes and gives."""

    name: str
    versions: list[str] = Field(description="all that are served, newest first")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Live(BaseModel):
    """Whether the process is alive."""

    live: bool


class Ready(BaseModel):
    """Whether the server can predict."""

    ready: bool


class ModelReady(BaseModel):
    """Whether a model is in memory."""

    name: str
    ready: bool


class IndexRequest(Strict):
    """Which models are wanted."""

    ready: bool = Field(default=False, description="only those in memory")


class IndexEntry(BaseModel):
    """A version in the repository."""

    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str = Field(description="why it is not ready; empty where it is")


class LoadRequest(Strict):
    """How a model is loaded or unloaded."""

    parameters: dict[str, Any] | None = Field(
        default=None, description="`version`: this one only; none of its configuration can be changed here"
    )


class InferError(BaseModel):
    """An error in the protocol's form."""

    error: str
