"""An explanation put to the test."""

from typing import Literal

from pydantic import BaseModel, Field

from service.manifest import AnswerVerdict

Baseline = Literal["mean", "sequence", "last", "zero", "unknown"]


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
