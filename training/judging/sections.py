"""The sections of a run's report, each from what was measured."""

from typing import Any

import numpy as np

from service.explanations.faithfulness import Measured
from service.explanations.record import Explanation
from service.explanations.verdicts import profiles
from service.manifest import Faithfulness, Quality, Task
from training.data.datasets import Data
from training.judging import pictures, words
from training.judging.quality import Bin
from training.judging.report import Picture, Section, Table


def in_short(quality: Quality, faithfulness: Faithfulness | None, twin: str) -> Section:
    """What a client may be told, first.

    Args:
        twin: what is said where the model was not compared with a plain LSTM.
    """
    metric = quality.metric
    named = "RMSE" if metric == "rmse" else metric.capitalize()
    paragraphs = [
        f"{named} on {quality.samples} test sequences: {words.number(quality.published, metric)}. "
        + words.over_seeds(quality),
        words.beside_twin(quality) or twin,
        words.beside_baseline(quality),
        words.calibration(quality),
        words.verdict(faithfulness) if faithfulness else "",
    ]
    return Section("In short", "\n\n".join(paragraphs), quality_table(quality))


def quality_table(quality: Quality) -> Table:
    """The model, its twin and the answer without a model, a row each."""
    metric = quality.metric
    rows = [("this model", quality.mean, quality.spread, quality.interval)]
    if quality.twin:
        rows.append(("the same without attention", quality.twin.mean, quality.twin.spread, quality.twin.interval))
    cells = [
        [
            name,
            words.number(mean, metric),
            words.number(spread, metric) if len(quality.seeds) > 1 else "",
            words.interval(found, metric) if found else "",
        ]
        for name, mean, spread, found in rows
    ]
    if quality.baseline:
        cells.append([quality.baseline.name, words.number(quality.baseline.value, metric), "", ""])
    return Table(["", metric, "spread", "95 % interval"], cells)


def mistakes(data: Data, prediction: np.ndarray, confusion: list[list[int]] | None, bins: list[Bin] | None) -> Section:
    """Where the test predictions are wrong: of classes the confusion matrix and the confidence, else the residuals."""
    if confusion is not None and bins is not None:
        return Section("Right and wrong", pictures=(_confusion(data, confusion), _reliability(bins)))
    ahead = f", the next {data.outputs} of each sequence," if data.task == "forecast" else ""
    caption = f"Predicted against true values{ahead} of the test part; right ones lie on the dashed line."
    picture = Picture(caption, pictures.residuals(data.test.targets.ravel(), prediction.ravel()))
    text = "A value comes without a confidence, so there is no calibration to check."
    return Section("Right and wrong", text, None, (picture,))


def attention(
    profile: list[float], same_length: bool, on_step: dict[int, dict[str, float]] | None, examples: list[Picture]
) -> Section:
    """Where the weights lie: their mean, examples, and the true step where it is known."""
    unit = "step" if same_length else "tenth of the sequence, from its start"
    caption = f"Mean weight by {unit}, over the whole test part; dashed: all the same."
    table = None
    if on_step:
        rows = [[str(seed), f"{one['top']:.1%}", f"{one['mean_weight']:.2f}"] for seed, one in on_step.items()]
        table = Table(["seed", "largest weight on the true step", "mean weight there"], rows)
    mean = Picture(caption, pictures.profile(np.array(profile), unit))
    return Section("Where the attention lies", "", table, (mean, *examples))


def examples(rows: np.ndarray, found: Explanation, data: Data) -> list[Picture]:
    """The sequences answered best, middling and worst; `rows (k,)` are theirs in the test part."""
    names = ("best", "middling", "worst")[-len(rows) :]
    return [
        Picture(
            f"Test sequence {row}, one answered {name}: {_said(found, i)}, true {_true(data, row)}.",
            pictures.example(found, i),
        )
        for i, (row, name) in enumerate(zip(rows, names, strict=True))
    ]


def faithfulness(found: Faithfulness, measured: list[Measured], task: Task) -> Section:
    """Whether the weights may be believed as an explanation."""
    removed = (
        "A removed character is an unknown one"
        if task == "sequence"
        else "A removed step holds the mean of each feature"
    )
    values = task in {"regression", "forecast"}  # which move, and do not drop
    drop = "move" if values else "drop"
    text = (
        f"{words.verdict(found)} {words.evidence(found, task)}\n\n{removed}. A share of the steps is rounded up; "
        f"{drop}s are means over the shares in the picture. Where only a few steps matter, the order of all the others "
        "is chance, and the rank correlation is low even for weights that are right."
    )
    rows = [
        ["heaviest weights", f"{found.comprehensiveness:z.3f}", f"{found.sufficiency:z.3f}"],
        ["largest change when removed alone (occlusion)", f"{found.occlusion_comprehensiveness:z.3f}", ""],
        ["at random", f"{found.random_comprehensiveness:z.3f}", f"{found.random_sufficiency:z.3f}"],
    ]
    drawn = []
    if found.deletion:
        caption = (
            f"How far the prediction {drop}s by share of the steps removed: the faster it rises, the better the order."
        )
        drawn.append(Picture(caption, pictures.deletion(found.deletion, values)))
    by_step = profiles(measured)
    if by_step:
        caption = (
            "Mean weight by step (bars) beside what removing the step alone changes (line, scaled to the same sum)."
        )
        drawn.append(Picture(caption, pictures.profile(by_step[0], "step", by_step[1])))
    table = Table(["steps in order of", f"{drop} without them", "alone"], rows)
    return Section("May the weights be believed?", text, table, tuple(drawn))


def settings(data: Data, run: dict[str, Any]) -> Section:
    """What was judged."""
    rows = [[name.replace("_", " "), str(value)] for name, value in run.items()]
    return Section("What was judged", str(data) + f"\n\nSource: {data.source}.", Table(["setting", ""], rows))


def _said(found: Explanation, i: int) -> str:
    prediction = found.predictions[i]
    if found.labels is None:
        return f"predicted {_values(prediction)}"
    sure = prediction.max() if found.task == "multiclass" else max(prediction.item(), 1 - prediction.item())
    return f"predicted {found.labels[i]} ({sure:.0%})"


def _true(data: Data, row: int) -> str:
    target = data.test.targets[row]
    return data.labels[target] if data.labels else _values(np.atleast_1d(target))


def _values(values: np.ndarray, most: int = 4) -> str:
    return ", ".join(f"{value:.4g}" for value in values[:most]) + (", ..." if len(values) > most else "")


def _confusion(data: Data, counts: list[list[int]]) -> Picture:
    caption = "Test sequences by true class (rows) and predicted class (columns); the darker, the more of the row."
    return Picture(caption, pictures.confusion(np.array(counts), data.labels))


def _reliability(bins: list[Bin]) -> Picture:
    caption = (
        "Calibration: share of right answers by probability of the predicted class, in tenths; the larger a point, the "
        "more test sequences. Below the dashed line the model is surer than it may be."
    )
    return Picture(caption, pictures.reliability(bins))
