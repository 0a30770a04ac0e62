"""The model card: model.json in words, written beside it."""

from service.manifest import Faithfulness, Manifest, Task
from training import words

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


def _table(manifest: Manifest) -> str:
    rows = [
        ("task", manifest.task),
        ("takes", manifest.sequences_shape + _trained_on(manifest) + ", raw values: scaling is in the graph"),
        ("features", ", ".join(manifest.features)),
        ("answers", _answers(manifest)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _answers(manifest: Manifest) -> str:
    if manifest.horizon is not None:
        return f"the next {manifest.horizon} values"
    return ", ".join(manifest.labels) or "a value"


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
    on_step = manifest.training.attention_on_step if manifest.training else None
    if on_step:
        text += (
            f"\n\nThe step that decides is known here: the largest weight is on it for {on_step['top']:.1%} of the "
            f"test sequences, and its mean weight is {on_step['mean_weight']:.2f}."
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
