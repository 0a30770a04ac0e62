"""The pictures and the table of docs/attention.md: every score and normalizer on the planted step, and a date read."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import numpy as np
import onnxruntime as ort

from service.explanations.charts.chart import PADDING, Chart
from service.explanations.charts.rendering import svg
from service.explanations.charts.sequences import explanation_chart
from service.explanations.charts.themes import LIGHT
from service.explanations.record import Explanation
from service.explanations.verdicts import summarize
from service.manifest import GRAPH_FILE, Manifest, Verdict
from service.ragged import Ragged
from training.data.datasets import Data, planted
from training.evaluate import predict
from training.fit import fit_seed
from training.judging import explain, quality
from training.models import NormalizerName, Position, ScoreName
from training.recipes import SETTINGS
from training.text.pairs import decode, encode

POSITIONS: tuple[Position, ...] = ("before", "after")
SCORES: tuple[ScoreName, ...] = ("dense", "local", "dot", "cosine", "additive", "general")
NORMALIZERS: tuple[NormalizerName, ...] = ("softmax", "sum", "sparsemax")
VARIANTS = list(itertools.product(POSITIONS, SCORES, NORMALIZERS))
SEQUENCES = 10_000
STRONG, WEAK = "#1c64f2", "#b6c6d8"
BEGIN, END = "<!-- table: made by `python -m training tour` -->", "<!-- end of the table -->"
TEXT = "Dienstag, 3. Mai 2016"


@dataclass(frozen=True)
class Found:
    """What a variant reached on the test part.

    Attributes:
        top: how often the largest weight is on the planted step.
        profile: `(time,)`, mean weights.
    """

    position: Position
    score: ScoreName
    normalizer: NormalizerName
    accuracy: float
    top: float
    profile: np.ndarray
    verdict: Verdict


def tour(docs: Path, models: Path, on_variant: Callable[[Found], None]) -> None:
    """Fits every variant and writes `docs/attention/*.svg` and the table in `docs/attention.md`.

    Args:
        models: the folder of published models; the date is read by `dates` in it.
        on_variant: called with what each variant reached.
    """
    data = planted(n=SEQUENCES)
    found = []
    for variant in fit_variants(data):
        on_variant(variant)
        found.append(variant)
    pictures = docs / "attention"
    pictures.mkdir(parents=True, exist_ok=True)
    for position in POSITIONS:
        chart = profiles([one for one in found if one.position == position], data.step)
        (pictures / f"{position}.svg").write_text(svg(chart))
    chart = explanation_chart(read_date(models / "dates" / "1"), 0)
    (pictures / "dates.svg").write_text(svg(chart))
    page = docs / "attention.md"
    written = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table(found)}\n{END}", page.read_text(), flags=re.DOTALL)
    page.write_text(written)


def fit_variants(data: Data) -> Iterator[Found]:
    """Fits a model for each of `VARIANTS`, with the settings of the planted step, and judges it on the test part."""
    settings = SETTINGS["planted"]
    for position, score, normalizer in VARIANTS:
        config = settings.model({"position": position, "score": score, "normalizer": normalizer})
        model, _ = fit_seed(data, config, settings.fit, 0, lambda logs: None)
        outputs = predict(model, data, variable_length=False)
        weights = outputs["attention"]
        measured = explain.put_to_the_test(model, data, weights, config)
        yield Found(
            position,
            score,
            normalizer,
            accuracy=float(quality.marks(outputs["prediction"], data.test.targets, data.task).mean()),
            top=explain.weight_on_step(weights, data.step or 0)["top"],
            profile=explain.profile(weights, data.test.lengths),
            verdict=summarize(measured, "mean").verdict,
        )


def profiles(found: list[Found], step: int | None) -> Chart:
    """The mean weights of each variant by step as bars, a row for each score, a column for each normalizer."""
    rows = [
        {"score": one.score, "normalizer": one.normalizer, "step": i, "weight": float(weight), "planted": i == step}
        for one in found
        for i, weight in enumerate(one.profile)
    ]
    bars = (
        alt.Chart(width=170, height=56)
        .mark_bar(width=6)
        .encode(
            x=alt.X("step:Q").title(None).axis(values=[0, 5, 10, 15]),
            y=alt.Y("weight:Q").title(None).scale(domain=[0, 1]).axis(format=".0%", values=[0, 0.5, 1]),
            color=alt.condition("datum.planted", alt.value(STRONG), alt.value(WEAK)),
        )
    )
    row = alt.Row("score:N", sort=list(SCORES), title=None)
    column = alt.Column("normalizer:N", sort=list(NORMALIZERS), title=None)
    view = bars.facet(
        data=alt.NamedData("weights"),
        row=row.header(labelFontSize=12, labelColor=LIGHT.ink, labelAngle=0, labelAlign="left"),
        column=column.header(labelFontSize=12, labelColor=LIGHT.ink),
        title=f"Mean weight by step, attention {found[0].position} the LSTM; step {step} decides",
        padding=PADDING,
    )
    return Chart(view, {"weights": rows})


def table(found: list[Found]) -> str:
    """What every variant reached, as Markdown."""
    rows = [
        f"| {one.position} | {one.score} | {one.normalizer} | {one.accuracy:.3f} | {one.top:.1%} | "
        f"{one.profile.max():.2f} on step {one.profile.argmax()} | {one.verdict} |"
        for one in found
    ]
    header = [
        "| position | score | normalizer | accuracy | on the step | largest mean weight | as an explanation |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*header, *rows])


def read_date(folder: Path) -> Explanation:
    """What the published model of dates makes of `TEXT`, as the service would keep it."""
    manifest = Manifest.read(folder)
    vocabulary = manifest.vocabulary
    if vocabulary is None:
        raise ValueError(f"expected a model that reads text in {folder}, received one of task {manifest.task}")
    session = ort.InferenceSession(folder / GRAPH_FILE, providers=["CPUExecutionProvider"])
    ids, lengths = encode([TEXT], vocabulary.input)
    feeds = {"sequences": ids, "lengths": lengths, "beam": np.array(1, np.int32)}
    names = ["prediction", "attention", "probability"]
    prediction, attention, probability = session.run(names, feeds)
    [answer] = decode(prediction, vocabulary.output)
    return Explanation(
        id="",
        created=0,
        model=manifest.name,
        version=manifest.version,
        task=manifest.task,
        features=manifest.features,
        classes=[],
        sequences=None,
        predictions=probability[:, None],
        labels=None,
        attention=Ragged.of_matrices([attention[0, : len(answer)]]),
        texts=[TEXT],
        answers=[answer],
        unknown=[[]],
    )
