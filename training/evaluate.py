"""Judges a run on the test part, which nothing before this has seen, into RUN/metrics.json and RUN/report.html."""

from pathlib import Path
from typing import Self

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict

from service.explanations.faithfulness import Measured
from service.explanations.measures import classes_of
from service.explanations.verdicts import summarize
from service.manifest import Baseline, Faithfulness, Quality, Twin
from training.data.batches import JUDGED, feed
from training.data.datasets import Data
from training.fit import Run
from training.judging import baselines, explain, quality, sections
from training.judging.quality import METRICS, Bin
from training.judging.report import Section, report
from training.runs import METRICS_FILE, REPORT_FILE

Outputs = dict[str, np.ndarray]


class Metrics(BaseModel):
    """metrics.json; but for the quality over seeds, of the chosen seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: Quality
    attention_on_step: dict[int, dict[str, float]] | None
    """By seed, where the true step is known: how often the top weight is on it (`top`), and its mean weight."""
    faithfulness: Faithfulness | None
    """None from a model without attention."""
    confusion: list[list[int]] | None = None
    """Of classes: counts, `(true class, predicted class)`."""
    calibration: list[Bin] | None = None
    """Of classes."""
    profile: list[float] | None = None
    """Mean weights by step or, where lengths differ, by tenth of a sequence."""

    @classmethod
    def read(cls, run: Path) -> Self:
        """Reads `run/metrics.json`."""
        return cls.model_validate_json((run / METRICS_FILE).read_bytes())


def evaluate(folder: Path, *, twin: bool = True) -> Metrics:
    """Judges every seed of the run in `folder`, and writes the report and the metrics there.

    Args:
        twin: whether to fit the plain LSTM of the same size, in `folder/twin`, and judge it beside a model with
            attention.

    Raises:
        OSError: the folder holds no run.
        ValueError: a model of the run or its data are not what they were.
    """
    run = Run.read(folder)
    data = run.load_data()
    marks, on_step, outputs = judge_seeds(run, folder, data)
    prediction, attention = outputs["prediction"], outputs.get("attention")
    bins = quality.calibration(prediction, data.test.targets, data.task) if data.labels else None
    measured: list[Measured] = []
    if attention is not None:
        model = run.load_model(folder, run.chosen)
        measured = explain.put_to_the_test(model, data, attention, run.model)
    metrics = Metrics(
        quality=judge_quality(run, folder, data, marks, bins, twin=twin),
        attention_on_step=on_step or None,
        faithfulness=summarize(measured, explain.baseline(run.model)) if measured else None,
        confusion=confusion(prediction, data) if data.labels else None,
        calibration=bins,
        profile=explain.profile(attention, data.test.lengths).tolist() if attention is not None else None,
    )
    parts = report_sections(run, data, metrics, outputs, measured)
    (folder / REPORT_FILE).write_text(report(f"{folder.resolve().name}: how good it is, and why", parts))
    (folder / METRICS_FILE).write_text(metrics.model_dump_json(indent=1) + "\n")
    return metrics


def judge_seeds(
    run: Run, folder: Path, data: Data
) -> tuple[dict[int, np.ndarray], dict[int, dict[str, float]], Outputs]:
    """Marks of the test samples by seed, weights on the true step by seed, and the outputs of the chosen seed."""
    marks: dict[int, np.ndarray] = {}
    on_step: dict[int, dict[str, float]] = {}
    chosen: Outputs = {}
    for seed in run.validation_loss:
        outputs = predict(run.load_model(folder, seed), data, run.model.variable_length)
        marks[seed] = quality.marks(outputs["prediction"], data.test.targets, data.task)
        if data.step is not None and "attention" in outputs:
            on_step[seed] = explain.weight_on_step(outputs["attention"], data.step)
        if seed == run.chosen:
            chosen = outputs
    return marks, on_step, chosen


def predict(model: keras.Model, data: Data, variable_length: bool) -> Outputs:
    """The model's outputs for the test part, by name."""
    outputs: Outputs = model.predict(feed(data.test, variable_length, JUDGED)[0], verbose=0)
    return outputs


def judge_quality(
    run: Run, folder: Path, data: Data, marks: dict[int, np.ndarray], bins: list[Bin] | None, *, twin: bool
) -> Quality:
    """The quality over seeds, beside an answer without a model and the plain LSTM.

    Args:
        marks: of the test samples by seed, `(sample,)`.
        bins: of confidence, where there are classes.
    """
    metric = METRICS[data.task]
    name, answer = baselines.trivial(data)
    value = quality.score(quality.marks(answer, data.test.targets, data.task), metric)
    plain: Twin | None = None
    if twin and run.model.position != "none":
        fitted = baselines.fit_twin(run, folder)
        of_twin, _, _ = judge_seeds(fitted, folder / baselines.TWIN_FOLDER, data)
        plain = quality.compare(metric, marks, of_twin)
    error = quality.calibration_error(bins) if bins else None
    return quality.summarize(metric, marks, run.chosen).model_copy(
        update={"baseline": Baseline(name=name, value=value), "twin": plain, "calibration_error": error}
    )


def confusion(prediction: np.ndarray, data: Data) -> list[list[int]]:
    """Counts `(true class, predicted class)` of the test samples."""
    from sklearn.metrics import confusion_matrix

    found = classes_of(prediction, data.task)
    counts: list[list[int]] = confusion_matrix(data.test.targets, found, labels=range(len(data.labels))).tolist()
    return counts


def report_sections(
    run: Run,
    data: Data,
    metrics: Metrics,
    outputs: Outputs,
    measured: list[Measured],
) -> list[Section]:
    """The report from its beginning to its end."""
    no_twin = "This is a plain LSTM." if run.model.position == "none" else "Not compared with a plain LSTM (--no-twin)."
    found = [
        sections.in_short(metrics.quality, metrics.faithfulness, no_twin),
        sections.mistakes(data, outputs["prediction"], metrics.confusion, metrics.calibration),
    ]
    if metrics.profile and metrics.faithfulness:
        same_length = data.test.lengths.min() == data.test.lengths.max()
        shown = sections.examples(*explain.examples(data, outputs), data)
        found.append(sections.attention(metrics.profile, same_length, metrics.attention_on_step, shown))
        found.append(sections.faithfulness(metrics.faithfulness, measured, data.task))
    settings = {**run.model.model_dump(), **run.fit.model_dump(), "seed": run.chosen}
    return [*found, sections.settings(data, settings)]
