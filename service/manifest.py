"""model.json: what a model declares about itself. Training writes it, the service reads it; nobody guesses.

A model is a folder `models/NAME/VERSION/` with `model.onnx` and `model.json`. The graph's inputs are `sequences`
float32 `(batch, time, feature)` and, where lengths differ, `lengths` int32 `(batch,)`. Its outputs are `prediction`
`(batch, 1 or classes or horizon)` and, for a model with attention, `attention` `(batch, time)` or `(batch, time,
feature)`.

A model of the task `sequence` turns text into text. Its inputs are `sequences` int32 `(batch, in_time)`, ids of the
input vocabulary; `lengths` int32 `(batch,)`; and `beam` int32 `()`, the width of the search, 1 for the greedy one. Its
outputs are `prediction` int32 `(batch, out_time)`, ids of the output vocabulary, END behind the last; `attention`
`(batch, out_time, in_time)`; and `probability` float32 `(batch,)`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

GRAPH_FILE = "model.onnx"
MANIFEST_FILE = "model.json"
NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"

PROFILE_BINS = 20

PAD, UNKNOWN = 0, 1  # ids of every input vocabulary
END, START = 0, 1  # ids of every output vocabulary

Task = Literal["binary", "multiclass", "regression", "forecast", "sequence"]
Verdict = Literal["supported", "weak", "no better than random"]
AnswerVerdict = Literal["supported", "weak", "no better than random", "inconclusive"]  # of one answer
Axes = (
    tuple[Literal["time"]] | tuple[Literal["time"], Literal["feature"]] | tuple[Literal["out_time"], Literal["in_time"]]
)


class Part(BaseModel):
    """Base of everything in model.json: immutable, unknown fields rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lengths(Part):
    """How many steps a sequence may have."""

    min: int = Field(ge=1)
    max: int | None = Field(description="None: any length the server allows")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"expected max >= min, received min {self.min} and max {self.max}")
        return self


class Attention(Part):
    """Where the weights come from and what they are laid over."""

    kind: str = Field(description="how scores are computed, e.g. permute-dense")
    position: str = Field(description="before or after the LSTM, or decoder")
    axes: Axes = Field(
        description="(time,) for one vector shared by all features, (time, feature) for one each, (out_time, in_time) "
        "for one at every output step"
    )
    profile: list[float] | None = Field(
        default=None,
        min_length=PROFILE_BINS,
        max_length=PROFILE_BINS,
        description="mean weight of each twentieth of a sequence over the training split, what live weights are "
        "compared with; None: not known, or of (out_time, in_time)",
    )


class Vocabulary(Part):
    """The characters of a model that turns text into text, each at the place of its id."""

    input: list[str] = Field(min_length=3, description="begins with <pad> and <unk>")
    output: list[str] = Field(min_length=3, description="begins with <end> and <start>")


class Decoding(Part):
    """How a model that turns text into text searches for its answer."""

    longest: int = Field(ge=1, description="characters of an answer at most")
    beam: int = Field(ge=1, description="width of the search where a request does not say; 1 is greedy")


class Interval(Part):
    """Where the true value lies, with 95 % confidence."""

    low: float
    high: float
    method: Literal["Student's t over seeds", "Wilson over test sequences", "bootstrap over test sequences"]


class Baseline(Part):
    """What an answer that needs no model reaches: whatever is worse than it has learnt nothing."""

    name: str = Field(description="e.g. majority class")
    value: float


class Twin(Part):
    """The plain LSTM of the same size, without attention, trained in the same way with the same seeds."""

    seeds: dict[int, float]
    mean: float
    spread: float = Field(description="standard deviation over the seeds")
    interval: Interval
    difference: Interval = Field(description="of the model's quality minus the twin's")
    effect: Literal["gains", "costs", "no clear difference"] = Field(
        description="what attention does to the quality; no clear difference where 0 lies in the interval"
    )


class Quality(Part):
    """One number on the test split, over several trainings that differ in nothing but the seed."""

    metric: Literal["accuracy", "rmse", "exact match"]
    split: Literal["test"] = "test"
    samples: int = Field(ge=1)
    published: float = Field(description="of the model in this folder")
    seeds: dict[int, float] = Field(description="of every seed trained")
    mean: float
    spread: float = Field(description="standard deviation over the seeds")
    interval: Interval | None = Field(default=None, description="of the mean over seeds; of one seed, over the samples")
    baseline: Baseline | None = None
    twin: Twin | None = Field(default=None, description="None: not compared, or the model is a plain LSTM itself")
    calibration_error: float | None = Field(
        default=None, description="classes: how far confidence is from accuracy on average, of the model in this folder"
    )


class Deletion(Part):
    """Mean drop of the prediction by share of the steps removed; the lists are as long as `shares`."""

    shares: list[float]
    attention: list[float] = Field(description="the heaviest steps first")
    occlusion: list[float] = Field(description="the steps whose single removal changes most first")
    random: list[float]


class Faithfulness(Part):
    """The weights put to the test on sequences of the test split; see `explanations/faithfulness.py`."""

    samples: int = Field(ge=1)
    comprehensiveness: float = Field(description="drop of the prediction without the heaviest steps")
    occlusion_comprehensiveness: float = Field(description="without the steps whose single removal changes most")
    random_comprehensiveness: float = Field(description="without as many steps at random")
    sufficiency: float = Field(description="drop of the prediction with the heaviest steps alone")
    random_sufficiency: float = Field(description="with as many steps at random alone")
    rank_correlation: float | None = Field(
        description="of the weights with what removing each step alone changes, the mean over sequences"
    )
    profile_correlation: float | None = Field(
        default=None, description="the same of both means over the sequences; None where lengths differ"
    )
    deletion: Deletion | None = None
    baseline: str | None = Field(
        default=None, description="what a removed step held; see GET /attention/{id}/faithfulness"
    )
    draws: int | None = Field(default=None, description="random orders of the steps, of each sequence")
    verdict: Verdict


class TrainingRecord(Part):
    """What the model was made from."""

    data: str
    samples: int = Field(ge=1, description="in the training split, without validation")
    lengths: Lengths = Field(description="of the sequences of the training split")
    seed: int
    settings: dict[str, Any]
    attention_on_step: dict[str, float] | None = Field(
        default=None, description="where the true step is known: how often the top weight is on it, and its mean weight"
    )
    feature_means: list[float] | None = Field(
        default=None,
        description="of each feature over the training split, where that says least to the model; None where each "
        "sequence is scaled by itself, so that its own mean does",
    )
    target_std: float | None = Field(
        default=None, gt=0, description="regression, forecast: standard deviation of the target in the training split"
    )


class Parity(Part):
    """Largest absolute difference between Keras and ONNX Runtime, over several batch sizes and lengths."""

    prediction: float = Field(ge=0)
    attention: float | None = Field(default=None, ge=0)


class Example(Part):
    """A sequence one can send to the model, from its test split."""

    sequence: list[list[float]] | str = Field(description="(time, feature), or a text")
    target: str | float | list[float]


class RuntimeOptions(Part):
    """How ONNX Runtime runs a model. What a model.json leaves out is as the server is set."""

    threads: int = Field(default=1, ge=1, le=1024, description="for one run")
    batch: int = Field(default=128, ge=1, description="sequences of one run at most; more take several, one by one")
    arena: bool = Field(default=False, description="keep the memory of the largest run for the next: see runtime.py")
    graph_optimization: Literal["none", "basic", "extended", "all"] = "all"
    cuda: dict[str, bool | int | float | str] = Field(
        default={}, description="options of the CUDA provider, in ONNX Runtime's names: gpu_mem_limit, ..."
    )

    def replaced_by(self, other: "RuntimeOptions | None") -> "RuntimeOptions":
        """These, but for what the other says itself."""
        return self.model_copy(update=other.model_dump(exclude_unset=True)) if other else self


DEFAULTS = RuntimeOptions()


class Manifest(Part):
    """The whole of model.json."""

    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    description: str
    created: datetime
    task: Task
    features: list[str] = Field(min_length=1, description="in the order of the feature axis; of text, character")
    labels: list[str] = Field(description="class names in output order; binary: [negative, positive]; else: none")
    horizon: int | None = Field(default=None, ge=1, description="forecast: how many values ahead")
    vocabulary: Vocabulary | None = Field(default=None, description="sequence: its characters")
    decoding: Decoding | None = Field(default=None, description="sequence: how it searches")
    lengths: Lengths
    attention: Attention | None = Field(description="None: the model has no attention")
    examples: list[Example] = []
    training: TrainingRecord | None = None
    quality: Quality | None = None
    faithfulness: Faithfulness | None = Field(default=None, description="None: not tested, or there are no weights")
    parity: Parity
    runtime: RuntimeOptions | None = Field(default=None, description="None: as the server is set")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of model.onnx")

    @model_validator(mode="after")
    def _check(self) -> Self:
        expected = {"binary": len(self.labels) == 2, "multiclass": len(self.labels) >= 2}
        if not expected.get(self.task, not self.labels):
            raise ValueError(f"expected as many labels as a {self.task} task has, received {self.labels}")
        for name, task in (("horizon", "forecast"), ("vocabulary", "sequence"), ("decoding", "sequence")):
            if (getattr(self, name) is not None) != (self.task == task):
                raise ValueError(f"expected {name} of a {task} task and of no other, received task {self.task}")
        means = self.training.feature_means if self.training else None
        if means is not None and len(means) != len(self.features):
            raise ValueError(f"expected a mean for each of {len(self.features)} features, received {len(means)}")
        return self

    @property
    def outputs(self) -> int:
        """Size of the prediction's last axis, but of text, whose length the model decides."""
        return {"multiclass": len(self.labels), "forecast": self.horizon or 0}.get(self.task, 1)

    @property
    def sequences_shape(self) -> str:
        """The shape of one sequence, in words for error messages."""
        low, high = self.lengths.min, self.lengths.max
        time = f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
        if self.vocabulary is not None:
            return f"a text of {time} characters"
        return f"{time} time steps × {len(self.features)} feature{'s' * (len(self.features) > 1)}"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads `folder/model.json`.

        Raises:
            OSError: the file cannot be read.
            pydantic.ValidationError: it is not a valid manifest.
        """
        return cls.model_validate_json((folder / MANIFEST_FILE).read_bytes())
