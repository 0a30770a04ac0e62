"""The bodies of POST /predict, as documented in /docs. `reading.py` reads and `wire.py` writes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

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


class PredictRequest(BaseModel):
    """Sequences to predict. They may differ in length where the model takes different lengths."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sequences: Annotated[list[Any], WithJsonSchema(SEQUENCES_SCHEMA)] = Field(
        min_length=1,
        description="raw values: `[[feature, ...], ...]` for a sequence, or `[value, ...]` where there is one feature; "
        "a text for models that read text",
    )
    model: str | None = Field(default=None, description="name of the model; not needed where only one is served")
    version: int | None = Field(default=None, description="version of the model; default: the pinned, or the newest")
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
    faithfulness: Literal["fast"] | None = Field(
        default=None,
        description="fast: also run the model without some steps, and say what the weights do better than chance; of "
        "16 sequences at most. The whole test is GET /attention/{id}/faithfulness",
    )


class TopStep(BaseModel):
    """A step that weighs much."""

    step: int = Field(description="index on the time axis, from 0")
    weight: float
    values: dict[str, float | str] | None = Field(
        description="the sequence's values at this step, by feature; of text, its character; null where inputs are not "
        "kept"
    )


class UnknownCharacter(BaseModel):
    """A character that the model has never seen."""

    step: int = Field(description="place in the text, from 0")
    character: str


class FastFaithfulness(BaseModel):
    """What the weights of a sequence do better than chance: the cheap part of the test, which allows no verdict."""

    comprehensiveness: float = Field(description="drop of the prediction without the heaviest steps")
    random_comprehensiveness: float = Field(description="without as many steps at random")
    sufficiency: float = Field(description="drop of the prediction with the heaviest steps alone")
    random_sufficiency: float = Field(description="with as many steps at random alone")
    baseline: str = Field(description="what a removed step holds; see FaithfulnessResponse")
    unit: str = Field(description="of every drop")
    draws: int = Field(description="random orders compared with")
    seed: int = Field(description="of the random orders: the first 8 digits of the sequence's hash")


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
    store_error: str | None = Field(
        default=None, description="that the explanation could not be kept; absent where it could"
    )
    faithfulness: list[FastFaithfulness | None] | None = Field(
        default=None,
        description="of each sequence, null where the answer is an empty text; absent where it was not asked for",
    )
