"""Judges an encoder-decoder on the test part, into RUN/metrics.json and RUN/report.html."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from pydantic import BaseModel, ConfigDict

from service.explanations.charts.sequences import explanation_chart
from service.explanations.faithfulness import Measured, measure
from service.explanations.record import Explanation
from service.explanations.verdicts import summarize
from service.manifest import START, UNKNOWN, Baseline, Faithfulness, Quality, Twin, Vocabulary
from service.ragged import Ragged
from training.judging import quality, sections
from training.judging.baselines import TWIN_FOLDER
from training.judging.pictures import untitled
from training.judging.report import Picture, Section, Table, report
from training.runs import METRICS_FILE, REPORT_FILE, RUN_FILE
from training.text.decoding import SIGNATURE, Decoder
from training.text.fit import PairsRun, fit_pairs
from training.text.models import EncoderDecoder
from training.text.pairs import Pairs, Texts, decode, encode

BATCH = 250
BEAMS = (1, 4)  # widths of the search; 1 is greedy, and what the quality is of
TESTED = 200  # characters put to the test, each of another text
SHOWN = 3  # texts drawn
Answers = dict[str, list[np.ndarray]]


class TextMetrics(BaseModel):
    """metrics.json; but for the quality over seeds, of the chosen seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: Quality
    exact_match: dict[int, float]
    """By width of the search."""
    evidence: dict[str, float] | None
    """Where it is known which characters decide those of the answer: how often the largest weight is on them (`top`),
    and their mean weight (`mean_weight`)."""
    faithfulness: Faithfulness

    @classmethod
    def read(cls, run: Path) -> Self:
        """Reads `run/metrics.json`."""
        return cls.model_validate_json((run / METRICS_FILE).read_bytes())


def evaluate_pairs(folder: Path, *, twin: bool = True) -> TextMetrics:
    """Judges every seed of the run in `folder`, and writes the report and the metrics there.

    Args:
        twin: whether to fit the encoder-decoder without attention, in `folder/twin`, and judge it beside this one.

    Raises:
        OSError: the folder holds no run.
        ValueError: a model of the run or its data are not what they were.
    """
    run = PairsRun.read(folder)
    data = run.load_data()
    found = {
        seed: search(run.load_model(folder, seed), run, data.test, BEAMS if seed == run.chosen else BEAMS[:1])
        for seed in run.validation_loss
    }
    marks = {seed: judge(run, answers[BEAMS[0]], data.test) for seed, answers in found.items()}
    greedy, model = found[run.chosen][BEAMS[0]], run.load_model(folder, run.chosen)
    measured = put_to_the_test(model, run.vocabulary, data.test, greedy)
    copied = np.array([source == target for source, target in zip(data.test.sources, data.test.targets, strict=True)])
    metrics = TextMetrics(
        quality=quality.summarize("exact match", marks, run.chosen).model_copy(
            update={
                "baseline": Baseline(name="copy of the text", value=float(copied.mean())),
                "twin": judge_twin(run, folder, data, marks) if twin else None,
            }
        ),
        exact_match={beam: float(judge(run, answers, data.test).mean()) for beam, answers in found[run.chosen].items()},
        evidence=weight_on_evidence(greedy, data.test),
        faithfulness=summarize(measured, "unknown"),
    )
    parts = report_sections(run, data, metrics, greedy, measured)
    (folder / REPORT_FILE).write_text(report(f"{folder.resolve().name}: how good it is, and why", parts))
    (folder / METRICS_FILE).write_text(metrics.model_dump_json(indent=1) + "\n")
    return metrics


def judge(run: PairsRun, answers: Answers, test: Texts) -> np.ndarray:
    """1 where the answer is the target, else 0, `(text,)`."""
    written = decode_all(answers, run.vocabulary)
    return np.array([text == target for text, target in zip(written, test.targets, strict=True)], np.float64)


def judge_twin(run: PairsRun, folder: Path, data: Pairs, marks: dict[int, np.ndarray]) -> Twin:
    """The encoder-decoder without attention, fitted in the same way with the same seeds, beside this one.

    One that is in `folder/twin` and was fitted so is taken as it is.
    """
    target = folder / TWIN_FOLDER
    wanted = run.model.model_copy(update={"attention": False})
    fitted = PairsRun.read(target) if (target / RUN_FILE).exists() else None
    same = run.model_copy(update={"model": wanted, "validation_loss": fitted.validation_loss if fitted else {}})
    if fitted != same or fitted.validation_loss.keys() != run.validation_loss.keys():
        fitted = fit_pairs(run.data, run.data_options, wanted, run.fit, list(run.validation_loss), target)
    greedy = {
        seed: search(fitted.load_model(target, seed), fitted, data.test, BEAMS[:1])[BEAMS[0]]
        for seed in run.validation_loss
    }
    of_twin = {seed: judge(fitted, answers, data.test) for seed, answers in greedy.items()}
    return quality.compare("exact match", marks, of_twin)


def search(model: EncoderDecoder, run: PairsRun, texts: Texts, beams: Sequence[int]) -> dict[int, Answers]:
    """What the model writes by width of the search, batch by batch, by name of the output; see `Decoder`."""
    ids, lengths = encode(texts.sources, run.vocabulary.input)
    decoder = tf.function(Decoder(model, run.longest), input_signature=SIGNATURE, autograph=False)
    found: dict[int, Answers] = {beam: {} for beam in beams}
    for beam, start in itertools.product(beams, range(0, len(ids), BATCH)):
        rows = slice(start, start + BATCH)
        for name, values in decoder(ids[rows], lengths[rows], tf.constant(beam)).items():
            found[beam].setdefault(name, []).append(np.asarray(values))
    return found


def decode_all(answers: Answers, vocabulary: Vocabulary) -> list[str]:
    """The texts of all batches."""
    return [text for ids in answers["prediction"] for text in decode(ids, vocabulary.output)]


def weight_on_evidence(answers: Answers, texts: Texts) -> dict[str, float] | None:
    """How much of the attention of the characters that `Texts.evidence` names is where it names it."""
    if texts.evidence is None:
        return None
    top, mean = [], []
    rows = [weights for batch in answers["attention"] for weights in batch]
    for weights, ((start, stop), (first, last)) in zip(rows, texts.evidence, strict=True):
        heaviest = weights[start:stop].argmax(axis=1)
        top.append((first <= heaviest) & (heaviest < last))
        mean.append(weights[start:stop, first:last].sum(axis=1))
    return {"top": float(np.concatenate(top).mean()), "mean_weight": float(np.concatenate(mean).mean())}


def put_to_the_test(model: EncoderDecoder, vocabulary: Vocabulary, texts: Texts, answers: Answers) -> list[Measured]:
    """Measures the faithfulness of the weights of a character of each of `TESTED` answers, from one to the next.

    The prediction is the probability of each character at that place, after the answer as it was written so far; a
    character is removed by making it unknown.
    """
    ids, lengths = encode(texts.sources, vocabulary.input)
    written, attention = ([row for batch in answers[name] for row in batch] for name in ("prediction", "attention"))
    measured = []

    @tf.function(reduce_retracing=True)
    def next_character(*inputs: Any) -> Any:
        logits = model(dict(zip(("sources", "lengths", "answers"), inputs, strict=True)))
        return tf.nn.softmax(logits[:, -1])

    for i, row in enumerate(np.linspace(0, len(ids) - 1, min(TESTED, len(ids))).astype(int)):
        length = int(lengths[row])
        place = i % max(1, len(decode(written[row][None], vocabulary.output)[0]))
        so_far = np.insert(written[row][:place], 0, START)

        def run(sequences: np.ndarray, so_far: np.ndarray = so_far, length: int = length) -> np.ndarray:
            sources, lengths = sequences[:, :, 0].astype(np.int32), np.full(len(sequences), length, np.int32)
            return next_character(sources, lengths, np.tile(so_far, (len(sequences), 1)).astype(np.int32)).numpy()

        sequence, weights = ids[row, :length, None].astype(np.float32), attention[row][place, :length]
        unknown = np.array([UNKNOWN], np.float32)
        measured.append(measure(run, sequence, weights, unknown, "multiclass", seed=int(row)))
    return measured


def report_sections(
    run: PairsRun, data: Pairs, metrics: TextMetrics, answers: Answers, measured: list[Measured]
) -> list[Section]:
    """The report from its beginning to its end."""
    settings = {**run.model.model_dump(), **run.fit.model_dump(), "seed": run.chosen}
    rows = [[name.replace("_", " "), str(value)] for name, value in settings.items()]
    searched = [[f"{beam}{' (greedy)' * (beam == 1)}", f"{value:.4f}"] for beam, value in metrics.exact_match.items()]
    return [
        sections.in_short(metrics.quality, metrics.faithfulness, "Not compared with a twin (--no-twin)."),
        Section("The search", "", Table(["answers kept at each step", "exact match"], searched)),
        mistakes(run, data.test, answers),
        attention(run, data, metrics, answers),
        sections.faithfulness(metrics.faithfulness, measured, "sequence"),
        Section("What was judged", f"{data}\n\nSource: {data.source}.", Table(["setting", ""], rows)),
    ]


def mistakes(run: PairsRun, texts: Texts, answers: Answers, most: int = 10) -> Section:
    """The texts that were answered wrong."""
    pairs = zip(texts.sources, texts.targets, decode_all(answers, run.vocabulary), strict=True)
    wrong = [list(pair) for pair in pairs if pair[1] != pair[2]]
    said = f"{len(wrong)} of {len(texts)} answers are wrong" + (f"; the first {most}:" if len(wrong) > most else ".")
    return Section("Right and wrong", said, Table(["text", "expected", "written"], wrong[:most]) if wrong else None)


def attention(run: PairsRun, data: Pairs, metrics: TextMetrics, answers: Answers) -> Section:
    """Where the weights lie: examples, and the evidence where it is known."""
    text = ""
    if metrics.evidence:
        text = (
            f"Which characters decide some of those of the answer is known here: the largest weight is on them for "
            f"{metrics.evidence['top']:.1%}, the mean weight there is {metrics.evidence['mean_weight']:.2f}."
        )
    shown = explain(run, data.name, data.test, answers)
    pictures = [
        Picture(f"{source!r} → {answer!r}", untitled(explanation_chart(shown, index)))
        for index, (source, answer) in enumerate(zip(shown.texts or [], shown.answers or [], strict=True))
    ]
    return Section("Where the attention lies", text, None, tuple(pictures))


def explain(run: PairsRun, name: str, texts: Texts, answers: Answers) -> Explanation:
    """The first texts, as the service would keep them."""
    sources = texts.sources[:SHOWN]
    written = decode(answers["prediction"][0][:SHOWN], run.vocabulary.output)
    weights = answers["attention"][0][:SHOWN]
    return Explanation(
        id="",
        created=0,
        model=name,
        version=0,
        task="sequence",
        features=["character"],
        classes=[],
        sequences=None,
        predictions=answers["probability"][0][:SHOWN, None],
        labels=None,
        attention=Ragged.of_matrices([weights[i, : len(written[i]), : len(sources[i])] for i in range(len(sources))]),
        texts=sources,
        answers=written,
        unknown=[[] for _ in sources],
    )
