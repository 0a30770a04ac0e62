"""Two explanations, side by side."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


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
        description="the prediction of b less that of a; null of text, and where they are of other tasks or classes"
    )
    weights: ComparedWeights | None = Field(
        description="null of text, of models without attention, and where the sequences differ in length"
    )


class CompareResponse(BaseModel):
    """Two answers, side by side."""

    a: ComparedAnswer
    b: ComparedAnswer
    sequences: list[ComparedSequence]
