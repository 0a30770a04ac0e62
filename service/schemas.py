"""The JSON bodies of the API, as documented in /docs. `reading.py` reads and `wire.py` writes those of /predict."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

from service.manifest import AnswerVerdict, Axes, Manifest, RuntimeOptions, Task

Baseline = Literal["mean", "sequence", "last", "zero", "unknown"]

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
    note: str | None = Field(default=None, description="what could not be looked for, and why; absent where all could")


class Deleted(BaseModel):
    """How many explanations were deleted."""

    deleted: int


class SequenceExplanation(BaseModel):
    """One sequence, what was predicted and what it was based on."""

    sequence: list[list[float]] | str | None = Field(
        description="the values received, time × feature, or the text; null where inputs are not kept"
    )
    hash: str | None = Field(
        description="SHA-256 of the values as little-endian float32, step by step, or of the text as UTF-8: by it GET "
        "/attention?sequence= finds the same sequence again; null where inputs are not kept"
    )
    prediction: float | list[float] | str
    probability: float | None = Field(default=None, description="of the text; absent where none is written")
    unknown: list[UnknownCharacter] | None = Field(
        default=None,
        description="characters that the model has never seen; absent where no text is read, null where inputs are not "
        "kept",
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
    note: str | None = Field(default=None, description="what is missing, and why; absent where nothing is")


class StepChange(BaseModel):
    """A step whose removal changes much."""

    step: int = Field(description="index on the time axis, from 0")
    change: float


class OcclusionResponse(BaseModel):
    """What leaving out each step of a sequence alone changes: its model is run again, without attention as well."""

    id: str
    model: str
    version: int
    sequence: int
    method: Literal["occlusion"]
    width: int = Field(description="neighbours that were left out together: 1, but more of a long sequence")
    changes: list[float] = Field(description="size of the change without each step; of text, without each character")
    top: list[StepChange] = Field(description="the steps whose removal changes most, first")
    baseline: Baseline = Field(description="what a removed step holds, see FaithfulnessResponse")
    baseline_values: dict[str, float] | None = Field(description="by feature; null for last and of text")
    unit: str = Field(description="of every change")


SHARES_EXAMPLE = {"0.05": 0.01, "0.25": 0.03, "0.5": 0.05, "0.75": 0.08, "0.95": 0.2}


class SummaryStep(BaseModel):
    """The weights of one step."""

    step: int = Field(description="from the start of the sequence, from 0")
    count: int = Field(description="sequences that have it")
    share: float = Field(description="of all sequences: those whose heaviest step it is")
    mean: float
    quantiles: dict[str, float] = Field(examples=[SHARES_EXAMPLE])


class SummaryConcentration(BaseModel):
    """The concentration of the weights, see SequenceExplanation."""

    mean: float
    quantiles: dict[str, float] = Field(examples=[SHARES_EXAMPLE])


class TopShare(BaseModel):
    """How often a step is the heaviest of its sequence."""

    step: int
    share: float = Field(description="of the sequences")


class SummaryResponse(BaseModel):
    """What the weights of many explanations of a model have in common."""

    model: str | None = Field(description="null where there are no explanations and none was asked for")
    version: int | None = Field(description="null where they are of several")
    label: str | None
    explanations: int = Field(description="the newest that pass the filter: so many were looked at")
    count: int = Field(description="sequences, of that label where one is given")
    steps: list[SummaryStep] = Field(description="as many as the longest sequence has")
    concentration: SummaryConcentration | None = Field(description="null where no sequence has two steps")
    top: list[TopShare] = Field(description="the steps that are most often the heaviest, at most five")


class CompareRequest(BaseModel):
    """What to compare an explanation with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(default=None, description="default: that of the explanation")
    version: int | None = Field(default=None, ge=1, le=2**31, description="default: the version that answers now")


class ComparedAnswer(BaseModel):
    """An answer that is compared."""

    id: str | None = Field(description="null where it is not kept")
    created: datetime
    model: str
    version: int


class ComparedSide(BaseModel):
    """What one of two says of a sequence."""

    prediction: float | list[float] | str
    label: str | None
    attention: list[float] | list[list[float]] | None = Field(description="by step; of text, of each character")


class ComparedWeights(BaseModel):
    """How far the weights of two answers differ."""

    difference: list[float] = Field(description="the weights of b less those of a, by step")
    total_variation: float = Field(description="share of the weight that lies elsewhere: 0 to 1")
    rank_correlation: float | None = Field(description="Spearman's; null where either has all steps weigh the same")
    shared_top: list[int] = Field(description="steps that are among the five heaviest of both")


class ComparedSequence(BaseModel):
    """A sequence of one answer beside that of another."""

    same_input: bool | None = Field(description="whether it is the same sequence; null where inputs are not kept")
    a: ComparedSide
    b: ComparedSide
    change: float | list[float] | None = Field(
        description="the prediction of b less that of a; null of text, and where they are not as many numbers"
    )
    weights: ComparedWeights | None = Field(
        description="null of text, of models without attention, and where the sequences differ in length"
    )


class CompareResponse(BaseModel):
    """Two answers, side by side."""

    a: ComparedAnswer
    b: ComparedAnswer
    sequences: list[ComparedSequence]


Value = Annotated[float, Field(strict=True, ge=-3.4e38, le=3.4e38)]  # fits float32
Size = Annotated[float, Field(strict=True, ge=0, le=3.4e38)]


def _in_rows(given: Any) -> Any:
    """A flat list as rows of one."""
    return [one if isinstance(one, list) else [one] for one in given] if isinstance(given, list) else given


def _in_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def _either(*kinds: Any, description: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [TypeAdapter(kind).json_schema() for kind in kinds], "description": description})


class DrawRequest(BaseModel):
    """A sequence or a text and what was predicted of it: the parts of a POST /predict answer that belong to it. Without
    either, the weights of a sequence alone.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str = Field(max_length=200)
    version: int = Field(ge=0, le=2**31)
    features: list[str] | None = Field(default=None, min_length=1, description="names; default: x0, x1, ...")
    sequence: Annotated[
        list[list[Value]] | None,
        BeforeValidator(_in_rows),
        _either(list[list[float]], list[float], None, description="time × feature; time, of one feature"),
    ] = None
    text: str | None = Field(default=None, description="in place of a sequence")
    attention: Annotated[
        list[list[Size]] | None,
        BeforeValidator(_in_rows),
        _either(
            list[float],
            list[list[float]],
            None,
            description="a weight for every step, or time × feature; of text, such weights for every character of the "
            "answer; null from a model without attention",
        ),
    ]
    importance: list[Size] | None = Field(
        default=None, description="by how much the prediction changes without each step"
    )
    width: int = Field(default=1, ge=1, description="neighbours that were left out together for the importance")
    baseline: Baseline | None = Field(default=None, description="what a step held that was left out for it")
    unit: str | None = Field(default=None, max_length=200, description="of the importance, as the test says it")
    prediction: Annotated[
        list[Value],
        Field(min_length=1),
        BeforeValidator(_in_list),
        _either(float, list[float], description="as it was answered; of text, the probability of the answer"),
    ]
    label: str | None = Field(default=None, description="the most probable label; null for values and texts")
    answer: str | None = Field(default=None, description="of a model that writes text: what it wrote")


class Drop(BaseModel):
    """How much the prediction drops: the probability of the predicted class; or how far values move, in `unit`."""

    attention: float = Field(description="by the weights, the heaviest steps first")
    occlusion: float = Field(description="the steps first without which alone the prediction drops most")
    random: float = Field(description="steps at random, the mean over draws")
    random_std: float | None = Field(
        default=None, description="how far random orders are apart, a standard deviation; of a mean only"
    )


class ShareOfSteps(BaseModel):
    """So many steps removed, and so many kept."""

    share: float
    steps: int
    without: Drop = Field(description="drops without them")
    alone: Drop = Field(description="drops with them alone")


class ChangedStep(BaseModel):
    """A step whose removal changes much."""

    step: int
    change: float
    weight: float


class LeaveOneOut(BaseModel):
    """Every step left out alone."""

    width: int = Field(description="neighbours that were left out together: 1, but more of a long sequence")
    changes: list[float] = Field(description="size of the change without each step")
    top: list[ChangedStep] = Field(description="the steps whose removal changes most, first")
    rank_correlation: float | None = Field(
        description="Spearman's, of weights and changes; null where either is the same for all steps"
    )


class Uniformity(BaseModel):
    """How far the weights are from all the same, which would name no step."""

    distance: float = Field(description="share of the weight that would have to move until all steps weigh the same")
    concentration: float | None = Field(description="see SequenceExplanation")
    nearly_uniform: bool = Field(description="the distance is at most 0.05: too little for a verdict of supported")


class FaithfulnessResponse(BaseModel):
    """One explained prediction put to the test, by running its model again without some of the steps."""

    id: str
    model: str
    version: int
    sequence: int
    verdict: AnswerVerdict = Field(
        description="supported: without the heaviest steps the prediction drops, by 0.05 or more; that is more than "
        "without random ones, by 0.05 and two standard deviations of random orders or more, and by half as much as "
        "occlusion finds or more; and with the heaviest steps alone it drops no more than with random ones alone, but "
        "for 0.05. weak: clearly more than without random ones, but not all of that; or the weights are nearly "
        "uniform. no better than random: not clearly more. inconclusive: whatever was removed, the prediction hardly "
        "changed (or there is a single step), so that nothing can be told with this baseline"
    )
    reason: str = Field(description="the verdict in a sentence, with its numbers")
    comprehensiveness: Drop = Field(description="mean drop without the first steps, over the shares; large is good")
    sufficiency: Drop = Field(description="mean drop with the first steps alone, over the shares; small is good")
    shares: list[ShareOfSteps]
    leave_one_out: LeaveOneOut
    uniformity: Uniformity
    baseline: Baseline = Field(
        description="what a removed step holds: the model's training mean of each feature; the mean of the sequence; "
        "the last value that is kept; or zero. Of text, a character that the model has never seen"
    )
    baseline_values: dict[str, float] | None = Field(description="by feature; null for last and of text")
    unit: str = Field(description="of every drop and change")
    draws: int = Field(description="random orders compared with: one, begun at as many places")
    seed: int = Field(description="of the random order: the first 8 digits of the sequence's hash")


class Status(BaseModel):
    """Whether the server is alive or ready."""

    status: Literal["ok"]
    note: str | None = Field(default=None, description="what it cannot do meanwhile, and why; absent where nothing is")
