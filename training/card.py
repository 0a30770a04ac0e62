"""The model card: model.json in words, written beside it."""

from functools import partial
from pathlib import Path

from service.manifest import MANIFEST_FILE, Faithfulness, Manifest, Task
from training.judging import words

CARD_FILE = "README.md"
NOT_TESTED = "May the weights be believed? Not tested."


def card(manifest: Manifest) -> str:
    """The card of a model, as Markdown."""
    sections = [
        f"# {manifest.name} {manifest.version}",
        manifest.description,
        _table(manifest),
        _quality(manifest),
        _attention(manifest),
        _origin(manifest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def index(models: Path) -> str:
    """The newest version of every model in a folder, with what matters most of its card, as a Markdown table."""
    versions = [list(folder.glob("[0-9]*/" + MANIFEST_FILE)) for folder in sorted(models.iterdir())]
    newest = [max(found, key=_version) for found in versions if found]
    header = [
        "| model | what it does | attention | takes | test part | plain LSTM | its weights, tested |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(header + [_row(Manifest.read(path.parent)) for path in newest]) + "\n"


def _version(path: Path) -> int:
    return int(path.parent.name)


def _row(manifest: Manifest) -> str:
    quality, found = manifest.quality, manifest.faithfulness
    attention = f"{manifest.attention.kind}, {manifest.attention.position}" if manifest.attention else "none"
    reached = twin = "not measured"
    if quality is not None:
        number = partial(words.number, metric=quality.metric)
        reached = f"{quality.metric} {number(quality.published)}"
        if len(quality.seeds) > 1:
            reached += f"; of {len(quality.seeds)} seeds {number(quality.mean)} ± {number(quality.spread)}"
        twin = number(quality.twin.mean) if quality.twin else twin
    link = f"[{manifest.name}]({manifest.name}/{manifest.version}/{CARD_FILE})"
    cells = (link, manifest.description, attention, manifest.sequences_shape, reached, twin)
    return f"| {' | '.join(cells)} | {found.verdict if found else 'not tested'} |"


def _table(manifest: Manifest) -> str:
    rows = [
        ("task", manifest.task),
        ("takes", manifest.sequences_shape + _trained_on(manifest) + _read(manifest)),
        ("features", ", ".join(manifest.features)),
        ("answers", _answers(manifest)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _answers(manifest: Manifest) -> str:
    if manifest.horizon is not None:
        return f"the next {manifest.horizon} values"
    if manifest.decoding is not None:
        return f"a text of up to {manifest.decoding.longest} characters"
    return ", ".join(manifest.labels) or "a value"


def _read(manifest: Manifest) -> str:
    if manifest.vocabulary is not None:
        return f"; it knows {len(manifest.vocabulary.input) - 2} different characters"
    if manifest.training is None:  # brought: what it holds is not known
        return ", as the model was trained on: no scaling was added"
    return ", raw values: scaling is in the graph"


def _trained_on(manifest: Manifest) -> str:
    if manifest.training is None or manifest.lengths.min == manifest.lengths.max:
        return ""
    trained = manifest.training.lengths
    return f" (trained on {trained.min} to {trained.max})"


def _quality(manifest: Manifest) -> str:
    quality = manifest.quality
    if quality is None:
        return "## Quality\n\nNot measured: this model was brought, not trained here."
    figure = words.number(quality.published, quality.metric)
    paragraphs = [
        f"{quality.metric} on {quality.samples} test sequences: **{figure}**.",
        words.over_seeds(quality),
        words.beside_twin(quality),
        words.beside_baseline(quality),
        words.calibration(quality),
    ]
    return "\n\n".join(["## Quality", *filter(None, paragraphs)])


def _attention(manifest: Manifest) -> str:
    attention = manifest.attention
    if attention is None:
        return "## Attention\n\nNone: the service answers `null` in the place of weights."
    if attention.position == "custom":
        return f"## Attention\n\nThe model's own, over {' and '.join(attention.axes)}.\n\n{NOT_TESTED}"
    over = "step and feature" if "feature" in attention.axes else "step"
    text = f"{attention.kind}, {attention.position} the LSTM, one weight for each {over}."
    if manifest.task == "sequence":
        text = f"{attention.kind}: for each character of the answer, one weight for each character of the text."
    on_step = manifest.training.attention_on_step if manifest.training else None
    if on_step:
        known, of = "step that decides is", "sequences"
        if manifest.task == "sequence":
            known, of = "place in the text that decides some characters (a date's year) is", "characters"
        text += (
            f"\n\nThe {known} known here: the largest weight is on it for {on_step['top']:.1%} of the test {of}, and "
            f"the mean weight there is {on_step['mean_weight']:.2f}."
        )
    return f"## Attention\n\n{text}\n\n{_faithfulness(manifest.faithfulness, manifest.task)}"


def _faithfulness(found: Faithfulness | None, task: Task) -> str:
    if found is None:
        return NOT_TESTED
    return f"May the weights be believed? **{words.verdict(found)}** {words.evidence(found, task)}"


def _origin(manifest: Manifest) -> str:
    parity = f"Keras and ONNX Runtime differ by at most {manifest.parity.prediction:.1e} on predictions"
    if manifest.parity.attention is not None:
        parity += f" and {manifest.parity.attention:.1e} on attention"
    lines = [f"{parity}."]
    if manifest.training is not None:
        settings = ", ".join(f"{name} {value}" for name, value in manifest.training.settings.items())
        lines.insert(0, f"Trained on {manifest.training.samples} sequences of {manifest.training.data}.")
        lines.append(f"Settings: {settings}, seed {manifest.training.seed}.")
    return "## Origin\n\n" + "\n\n".join(lines)
