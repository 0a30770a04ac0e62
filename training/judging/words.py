"""What was measured, in sentences one can quote: for the model card, the report and the terminal alike."""

from service.manifest import Faithfulness, Interval, Quality, Task

EFFECTS = {
    "gains": ("gains {metric}", "lowers the error"),
    "costs": ("costs {metric}", "raises the error"),
    "no clear difference": (
        "neither clearly gains nor clearly costs {metric}",
        "neither clearly lowers nor clearly raises the error",
    ),
}
TWINS = {"exact match": "Encoder-decoder"}
VERDICTS = {
    "supported": "The weights are supported as an explanation.",
    "weak": "The weights are a weak explanation.",
    "no better than random": "These weights do no better than random as an explanation.",
}


def number(value: float, metric: str) -> str:
    """A value of the metric: shares with four decimals, errors with four digits."""
    return f"{value:z#.4g}" if metric == "rmse" else f"{value:z.4f}"


def interval(found: Interval, metric: str) -> str:
    """From where to where."""
    return f"{number(found.low, metric)} to {number(found.high, metric)}"


def over_seeds(quality: Quality) -> str:
    """How sure the number is; empty where nothing was measured of that."""
    metric, found = quality.metric, quality.interval
    sure = f"95 % interval {interval(found, metric)} ({found.method})" if found else ""
    if len(quality.seeds) == 1:
        return f"{sure}; of one training." if sure else ""
    seeds = ", ".join(number(value, metric) for value in quality.seeds.values())
    text = (
        f"Over {len(quality.seeds)} trainings that differ in the seed alone: mean {number(quality.mean, metric)}, "
        f"standard deviation {number(quality.spread, metric)} ({seeds})"
    )
    text = f"{text}; {sure}" if sure else text
    return f"{text}. The one published had the lowest validation loss."


def beside_twin(quality: Quality) -> str:
    """The plain LSTM beside it, and what attention gains or costs; empty where they were not compared."""
    twin, metric = quality.twin, quality.metric
    if twin is None:
        return ""
    effect = EFFECTS[twin.effect][metric == "rmse"].format(metric=metric)
    means = f"mean {number(twin.mean, metric)}, standard deviation {number(twin.spread, metric)}"
    reached = means if len(twin.seeds) > 1 else number(twin.mean, metric)
    return (
        f"{TWINS.get(metric, 'Plain LSTM')} of the same size, trained in the same way without attention: {reached}. "
        f"Attention {effect} here: the difference is {number(quality.mean - twin.mean, metric)}, 95 % interval "
        f"{interval(twin.difference, metric)} ({twin.difference.method})."
    )


def beside_baseline(quality: Quality) -> str:
    """What needs no model beside it; empty where they were not compared."""
    baseline, metric = quality.baseline, quality.metric
    if baseline is None:
        return ""
    better = quality.mean < baseline.value if metric == "rmse" else quality.mean > baseline.value
    text = f"Without a model ({baseline.name}): {number(baseline.value, metric)}."
    return text if better else f"{text} This model does no better than that."


def calibration(quality: Quality) -> str:
    """How far confidence is off; empty where there is none."""
    if quality.calibration_error is None:
        return ""
    return f"Its confidence is off from its accuracy by {quality.calibration_error:.3f} on average."


def verdict(found: Faithfulness) -> str:
    """What may be claimed of the weights."""
    return VERDICTS[found.verdict]


def evidence(found: Faithfulness, task: Task) -> str:
    """The numbers behind the verdict."""
    values = task in {"regression", "forecast"}
    changes, unit = ("moves", ", in standard deviations of the target") if values else ("drops", "")
    text = (
        f"Put to the test on {found.samples} test sequences{unit}: without the heaviest steps the prediction {changes} "
        f"by {found.comprehensiveness:z.2f}, without as many at random by {found.random_comprehensiveness:z.2f}, "
        f"without those whose single removal changes most by {found.occlusion_comprehensiveness:z.2f}; with the "
        f"heaviest steps alone it {changes} by {found.sufficiency:z.2f}, with as many at random by "
        f"{found.random_sufficiency:z.2f}. Rank correlation of the weights with what removing each step alone changes: "
        f"{_correlation(found.rank_correlation)}"
    )
    if found.profile_correlation is None:
        return f"{text}."
    return f"{text} in the mean over sequences, {_correlation(found.profile_correlation)} of the mean weights by step."


def _correlation(found: float | None) -> str:
    return "not defined" if found is None else f"{found:z.2f}"
