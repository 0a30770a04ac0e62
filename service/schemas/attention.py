"""Kept explanations: many, one, and one by what leaving out its steps changes."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from service.manifest import Axes, Task
from service.schemas.faithfulness import Baseline
from service.schemas.predict import TopStep, UnknownCharacter


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
    note: str | None = Field(default=None, description="what could not be looked for, and why; absent where all could")


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
