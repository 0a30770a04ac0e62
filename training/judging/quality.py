"""How good predictions are: one number, the interval it stands for, and whether another model's differs from it.

Several seeds give Student's t interval of their mean: what training again with other seeds would give, on this test
part. A single seed says nothing of that; its interval is over the test sequences instead, what this one model would
reach on others like them: Wilson's (1927) of a share of right answers, the percentile bootstrap's (B. Efron, 1979) of
a root mean squared error.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from service.explanations.measures import classes_of
from service.manifest import Interval, Part, Quality, Task, Twin

Metric = Literal["accuracy", "rmse", "exact match"]
CONFIDENCE = 0.95
RESAMPLES = 1000
BINS = 10

METRICS: dict[Task, Metric] = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "regression": "rmse",
    "forecast": "rmse",
    "sequence": "exact match",
}


def marks(prediction: np.ndarray, targets: np.ndarray, task: Task) -> np.ndarray:
    """What each sample adds to the metric, `(sample,)`: 1 where its class is right, else 0; of values, squared error.

    Args:
        prediction: `(sample, 1 or classes or horizon)`.
        targets: `(sample,)`, or `(sample, horizon)` of a forecast.
    """
    if METRICS[task] == "accuracy":
        return (classes_of(prediction, task) == targets).astype(np.float64)
    errors: np.ndarray = prediction.astype(np.float64) - targets.reshape(len(targets), -1)
    return (errors**2).mean(axis=1)


def score(marks: np.ndarray, metric: Metric) -> float:
    """The metric of samples with these `marks (sample,)`."""
    return float(marks.mean() ** 0.5 if metric == "rmse" else marks.mean())


def summarize(metric: Metric, marks: dict[int, np.ndarray], published: int) -> Quality:
    """Quality over seeds.

    Args:
        marks: by seed, of the same test samples, `(sample,)`.
        published: the seed whose model is published.
    """
    return Quality(
        metric=metric,
        samples=len(marks[published]),
        published=score(marks[published], metric),
        **_over_seeds(metric, marks),
    )


def compare(metric: Metric, marks: dict[int, np.ndarray], twin: dict[int, np.ndarray]) -> Twin:
    """The plain LSTM's quality beside the model's, and whether the difference is more than chance.

    Args:
        marks: of the model, by seed, `(sample,)`.
        twin: of the plain LSTM, the same seeds and samples.
    """
    if len(marks) > 1:
        difference = student_t([score(marks[seed], metric) - score(twin[seed], metric) for seed in marks])
    else:
        (one,), (other,) = marks.values(), twin.values()
        difference = bootstrap(lambda rows: score(one[rows], metric) - score(other[rows], metric), len(one))
    better = difference.high < 0 if metric == "rmse" else difference.low > 0
    worse = difference.low > 0 if metric == "rmse" else difference.high < 0
    effect = "gains" if better else "costs" if worse else "no clear difference"
    return Twin(difference=difference, effect=effect, **_over_seeds(metric, twin))


def _over_seeds(metric: Metric, marks: dict[int, np.ndarray]) -> dict[str, Any]:
    seeds = {seed: score(found, metric) for seed, found in marks.items()}
    values = np.array(list(seeds.values()))
    return {
        "seeds": seeds,
        "mean": float(values.mean()),
        "spread": float(values.std()),
        "interval": _interval(metric, marks),
    }


def _interval(metric: Metric, marks: dict[int, np.ndarray]) -> Interval:
    if len(marks) > 1:
        found = student_t([score(one, metric) for one in marks.values()])
        highest = np.inf if metric == "rmse" else 1.0  # no metric lies outside of these
        return found.model_copy(update={"low": max(0.0, found.low), "high": min(highest, found.high)})
    (one,) = marks.values()
    if metric == "rmse":
        return bootstrap(lambda rows: score(one[rows], metric), len(one))
    return wilson(int(one.sum()), len(one))


def student_t(values: list[float]) -> Interval:
    """Of the mean of two values or more, normally distributed."""
    from scipy import stats

    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Interval(low=mean - half, high=mean + half, method="Student's t over seeds")


def wilson(right: int, samples: int) -> Interval:
    """Of the share of right answers; not empty where all are right, as the normal approximation is."""
    from scipy import stats

    found = stats.binomtest(right, samples).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(low=float(found.low), high=float(found.high), method="Wilson over test sequences")


def bootstrap(statistic: Callable[[np.ndarray], float], samples: int) -> Interval:
    """Of a `statistic` of rows `(samples,)`, from 1,000 draws of as many rows with replacement, always the same."""
    random = np.random.default_rng(0)
    found = [statistic(random.integers(0, samples, samples)) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(low=float(low), high=float(high), method="bootstrap over test sequences")


class Bin(Part):
    """The test samples whose confidence lies in one tenth of 0 to 1."""

    samples: int
    confidence: float
    """Mean probability of the predicted class."""
    accuracy: float


def calibration(prediction: np.ndarray, targets: np.ndarray, task: Task) -> list[Bin]:
    """Confidence and accuracy of the samples in ten bins of confidence, those without samples left out.

    Args:
        prediction: probabilities, `(sample, 1 or classes)`.
        targets: class indices, `(sample,)`.
    """
    confidence = np.maximum(prediction[:, 0], 1 - prediction[:, 0]) if task == "binary" else prediction.max(axis=1)
    right = marks(prediction, targets, task)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(
            samples=int((bins == i).sum()),
            confidence=float(confidence[bins == i].mean()),
            accuracy=float(right[bins == i].mean()),
        )
        for i in np.unique(bins)
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: the mean distance of confidence from accuracy (C. Guo et al., 2017)."""
    distances = [abs(one.confidence - one.accuracy) for one in bins]
    return float(np.average(distances, weights=[one.samples for one in bins]))
