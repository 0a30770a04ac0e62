"""The JSON bodies of the API, as documented in /docs. `wire.py` reads and writes those of /predict."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service.manifest import Axes, Manifest, RuntimeOptions, Task

SEQUENCES_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "anyOf": [
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "title": "time × feature"},
            {"type": "array", "items": {"type": "number"}, "title": "time, of a model with one feature"},
            {"type": "string", "title": "text, of a model that reads text"},
        ]
    },
}


State = Literal["loaded", "not loaded", "loading"]


class PredictRequest(BaseModel):
    """Sequences to predict. They may differ in length where the model takes different lengths."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sequences: Annotated[list[Any], WithJsonSchema(SEQUENCES_SCHEMA)] = Field(
        min_length=1,
        description="raw values: `[[feature, ...], ...]` for a sequence, or `[value, ...]` where there is one feature; "
        "a text for models that read text",
    )
    model: str | None = Field(default=None, description="name of the model; not needed where only one is served")
    version: int | None = Field(default=None, description="version of the model; default: the newest")
    attention: Literal["per_step", "per_feature"] = Field(
        default="per_step",
        description="one weight a step, or one for every step and feature (of models that have one vector per feature)",
    )
    top_k: int | None = Field(default=None, ge=1, le=100, description="also name this many steps of largest weight")
    beam: int | None = Field(
        default=None, ge=1, le=16, description="of models that write text: answers kept in the search; 1 is greedy"
    )
    store: bool = Field(default=True, description="keep the explanation under /attention/{id}")
    priority: Literal["interactive", "background"] = Field(
        default="interactive", description="background: runs when no interactive request waits"
    )
    deadline: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="seconds after which the answer is of no use, and 504 is given; default and bound: the server's",
    )


class TopStep(BaseModel):
    """A step that weighs much."""

    step: int = Field(description="index on the time axis, from 0")
    weight: float
    values: dict[str, float | str] = Field(
        description="the sequence's values at this step, by feature; of text, its character"
    )


class UnknownCharacter(BaseModel):
    """A character that the model has never seen."""

    step: int = Field(description="place in the text, from 0")
    character: str


class PredictResponse(BaseModel):
    """One entry for each sequence, in the order of the request."""

    id: str | None = Field(description="where the explanation is kept: /attention/{id}; null when it is not kept")
    model: str
    version: int
    predictions: list[float] | list[list[float]] | list[str] = Field(
        description="binary: probability of the second label; multiclass: of each label; regression: the value; "
        "forecast: the next values; sequence: the text"
    )
    probabilities: list[float] | None = Field(default=None, description="of each text; absent where none is written")
    unknown: list[list[UnknownCharacter]] | None = Field(
        default=None, description="characters of each text that the model has never seen; absent where none is read"
    )
    labels: list[str] | None = Field(default=None, description="the most probable label; absent for values and texts")
    attention: list[list[float]] | list[list[list[float]]] | None = Field(
        description="a weight for every step, summing to 1; of text, such weights for every character of the answer; "
        "null from a model without attention"
    )
    top: list[list[TopStep]] | list[list[list[TopStep]]] | None = Field(
        default=None, description="with top_k, the steps of largest weight; of text, for every character of the answer"
    )
    store_error: str | None = Field(default=None, description="why the explanation could not be kept")


class ModelInfo(BaseModel):
    """A version of a model that is served. Where several processes serve, each has its own models in memory."""

    manifest: Manifest = Field(description="what the model declares about itself")
    expects: str = Field(description="the shape of a sequence, in words")
    state: State = Field(description="whether it is in memory; a model that is not is loaded when it is asked for")
    default: bool = Field(description="whether it answers the requests that name this model and no version")
    memory_mb: float = Field(description="main memory that it takes while it is loaded, runs aside; estimated")
    provider: Literal["cpu", "cuda"] | None = Field(description="where it runs; null while it is not loaded")
    runtime: RuntimeOptions | None = Field(description="the options that it runs with; null while it is not loaded")
    fault: str | None = Field(description="why its folder, which has changed, is not served as it is now; else null")


class BrokenInfo(BaseModel):
    """A model folder that cannot be served."""

    folder: str
    reason: str


class StateInfo(BaseModel):
    """Whether a version is in memory."""

    model: str
    version: int
    state: State
    memory_mb: float = Field(description="of all that is loaded")


class PinInfo(BaseModel):
    """The version that is to answer the requests that name its model and no version."""

    model: str
    version: int
    fault: str | None = Field(description="why it does not, and what answers instead; null where it does")


class PinRequest(BaseModel):
    """What to pin a model to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(ge=1)


class DefaultInfo(BaseModel):
    """What answers the requests that name a model and no version."""

    model: str
    version: int | None = Field(description="null where no version is served")
    pinned: bool


class ModelList(BaseModel):
    """Every model folder, served or not."""

    models: list[ModelInfo] = Field(description="newest version of a model first")
    coming: list[str] = Field(description="folders that are being checked and loaded, and not served yet")
    broken: list[BrokenInfo]
    pins: list[PinInfo]
    memory_mb: float = Field(description="of all that is loaded")
    max_memory_mb: float | None = Field(description="what of it is unloaded above; null without a bound")


class ExplanationEntry(BaseModel):
    """A kept explanation in a list."""

    id: str
    created: datetime
    model: str
    version: int
    sequences: int = Field(description="how many")
    labels: list[str] = Field(description="every label that was predicted")
    url: str


class ExplanationList(BaseModel):
    """A page of kept explanations, newest first."""

    explanations: list[ExplanationEntry]
    next: str | None = Field(description="cursor of the next page; null on the last")


class SequenceExplanation(BaseModel):
    """One sequence, what was predicted and what it was based on."""

    sequence: list[list[float]] | str = Field(description="the values received, time × feature, or the text")
    prediction: float | list[float] | str
    probability: float | None = Field(default=None, description="of the text; absent where none is written")
    unknown: list[UnknownCharacter] | None = Field(
        default=None, description="characters that the model has never seen; absent where no text is read"
    )
    label: str | None
    attention: list[float] | list[list[float]] | None = Field(
        description="a weight for every step, summing to 1; of text, such weights for every character of the answer"
    )
    attention_per_feature: list[list[float]] | None = Field(
        default=None, description="time × feature, from models with one vector per feature; absent otherwise"
    )
    top: list[TopStep] | list[list[TopStep]] = Field(
        description="the steps of largest weight, heaviest first; of text, for every character of the answer"
    )
    concentration: float | None = Field(
        description="0: all steps weigh the same; 1: one step has all the weight (1 - entropy / uniform entropy); of "
        "text, the mean over the characters of the answer"
    )


class ExplanationResponse(BaseModel):
    """A kept explanation, whole."""

    id: str
    created: datetime
    model: str
    version: int
    task: Task
    features: list[str]
    classes: list[str] = Field(description="class names in the order of the predictions; empty for regression")
    attention_axes: Axes | None = Field(description="what the weights lie over; null from a model without attention")
    sequences: list[SequenceExplanation]


class Status(BaseModel):
    """Whether the server is alive or ready."""

    status: Literal["ok"]
