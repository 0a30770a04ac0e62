"""What many explanations have in common."""

from pydantic import BaseModel, Field

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
