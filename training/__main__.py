"""python -m training: fit, evaluate, export."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

try:
    import typer
except ModuleNotFoundError as error:  # after `make serve`, which installs the server alone
    sys.exit(f"expected the packages of training, found no {error.name}: make setup")
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from training import options
from training.options import fail, given, names, refuse_options
from training.text.commands import fit_text

if TYPE_CHECKING:
    from training.recipes import Recipe

# TensorFlow takes seconds to import: commands import what needs it, so that --help does not.

cli = typer.Typer(
    help="Train attention-LSTMs and publish them for the service.\n\nfit → evaluate → export, each from the folder "
    "that the one before wrote; or `examples` for all the committed models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
console = Console()

ModelsFolder = Annotated[Path, typer.Option("--models", help="Folder of published models.")]
KERAS = "A .keras file of your own"
RunFolder = Annotated[Path, typer.Argument(help="A run folder that `fit` wrote.", exists=True, file_okay=False)]


@cli.command()
def fit(
    data: options.Data,
    config: options.Config = None,
    out: options.Out = None,
    position: options.Position = None,
    score: options.Score = None,
    normalizer: options.Normalizer = "softmax",
    per_feature: options.PerFeature = False,
    units: options.Units = None,
    layers: options.Layers = None,
    bidirectional: options.Bidirectional = False,
    scaling: options.Scaling = None,
    dropout: options.Dropout = None,
    input_noise: options.InputNoise = None,
    block_noise: options.BlockNoise = None,
    epochs: options.Epochs = None,
    keep: options.Keep = None,
    patience: options.Patience = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    seeds: options.Seeds = 1,
    first_seed: options.FirstSeed = 0,
    search: options.Search = None,
    id: options.Id = None,
    time: options.Time = None,
    target: options.Target = None,
    feature_columns: options.FeatureColumns = None,
    task: options.Task = None,
    test_share: options.TestShare = None,
    validation_share: options.ValidationShare = None,
    impute: options.Impute = None,
    memory: options.Memory = None,
    horizon: options.Horizon = None,
    window: options.Window = None,
    stride: options.Stride = None,
    n: options.N = None,
    time_steps: options.TimeSteps = None,
    features: options.Features = None,
    step: options.Step = None,
) -> None:
    """Fit a model on a data set, and keep the epoch with the lowest validation loss, or the last one (--keep).

    What is not given is taken from the settings found to work for the data set.

    A table of your own is long, a row for each time step (columns id, time, target, and features), or wide, a row for
    each sequence (columns target and one for each step), or an .npz of arrays sequences (n, time, feature), targets
    (n,) and, where they differ, lengths (n,). A column split with train, validation or test decides which is which.

    With --horizon and --window a long table is forecast: its target is one more feature, whose next values are
    predicted from the steps of a window, rows taken as evenly spaced in time. Without a column id it is one series.
    """
    from training.data.datasets import BUILT_IN
    from training.data.tables import TableOptions
    from training.fit import fit as fit_run
    from training.recipes import OWN, SETTINGS
    from training.runs import FitConfig
    from training.search import search as try_out

    planted = given(n=n, time_steps=time_steps, features=features, step=step)
    table = given(
        id=id,
        time=time,
        target=target,
        feature_columns=names(feature_columns),
        task=task,
        test_share=test_share,
        validation_share=validation_share,
        impute=impute,
        memory=memory,
    )
    forecast = given(horizon=horizon, window=window, stride=stride)
    if data != "planted":
        refuse_options(planted, "planted", data)
    if data in BUILT_IN:
        refuse_options(table | forecast, "a table of your own", data)
    chosen = given(
        position=position,
        score=score,
        normalizer=normalizer,
        per_feature=per_feature or None,
        units=units,
        layers=layers,
        bidirectional=bidirectional or None,
        scaling=scaling,
        dropout=dropout,
        input_noise=input_noise,
        block_noise=block_noise,
    )
    changes = given(epochs=epochs, keep=keep, patience=patience, batch_size=batch_size, learning_rate=learning_rate)
    kind = "search" if search else position or "before"
    folder = out or Path("runs") / f"{data if data in BUILT_IN else Path(data).stem}-{kind}"
    settings = SETTINGS.get(data, OWN)
    try:
        how = FitConfig(**settings.fit.model_dump() | changes)
        model = settings.model(chosen)
        reading = planted if data in BUILT_IN else TableOptions(**table, forecast=forecast or None)
        choose = partial(try_out, settings=how, budget=search, fixed=chosen, folder=folder) if search else None
        run = fit_run(data, reading, model, how, list(range(first_seed, first_seed + seeds)), folder, choose)
    except (ValueError, OSError) as error:
        fail(error)
    losses = ", ".join(f"{loss:.4f}" for loss in run.validation_loss.values())
    console.print(
        f"{folder}: validation loss {losses}; seed {run.chosen} chosen. Next: evaluate {folder}", soft_wrap=True
    )


cli.command()(fit_text)


@cli.command()
def evaluate(
    run: RunFolder,
    twin: Annotated[
        bool, typer.Option("--twin/--no-twin", help="Fit the plain LSTM of the same size too, to compare with.")
    ] = True,
) -> None:
    """Judge a run on the test part of its data, and write metrics.json and, with pictures, report.html."""
    from training.evaluate import evaluate as evaluate_run
    from training.judging import words
    from training.judging.sections import quality_table
    from training.runs import REPORT_FILE
    from training.text.evaluate import evaluate_pairs
    from training.text.fit import is_pairs

    try:
        metrics = evaluate_pairs(run, twin=twin) if is_pairs(run) else evaluate_run(run, twin=twin)
    except (ValueError, OSError) as error:
        fail(error)
    quality, beside = metrics.quality, quality_table(metrics.quality)
    table = Table(*beside.header)
    for row in beside.rows:
        table.add_row(*row)
    console.print(table)
    said = [words.beside_twin(quality), words.calibration(quality)]
    said += [words.verdict(metrics.faithfulness)] if metrics.faithfulness else []
    for sentence in filter(None, said):
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
    mean = words.number(quality.mean, quality.metric)
    spread = f" ± {words.number(quality.spread, quality.metric)}" if len(quality.seeds) > 1 else ""
    console.print(f"mean {mean}{spread}. Report: {run / REPORT_FILE}. Next: export {run} --name NAME", soft_wrap=True)


@cli.command()
def export(
    source: Annotated[Path, typer.Argument(help="A run folder, or a .keras file of your own.", exists=True)],
    name: Annotated[str, typer.Option(help="Name of the model: a-z, 0-9, - and _.")],
    models: ModelsFolder = Path("models"),
    description: Annotated[str, typer.Option(help="One sentence for people.")] = "",
    task: Annotated[
        Literal["binary", "multiclass", "regression", "forecast"] | None,
        typer.Option(help="What it predicts.", show_default="by its last activation", rich_help_panel=KERAS),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class names, comma-separated.", show_default="0, 1, ...", rich_help_panel=KERAS)
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Feature names, comma-separated.", show_default="x0, x1, ...", rich_help_panel=KERAS),
    ] = None,
    time: Annotated[
        int | None, typer.Option(help="Steps it takes, where its input does not say.", min=1, rich_help_panel=KERAS)
    ] = None,
    without_attention: Annotated[
        bool, typer.Option("--without-attention", help="It has no attention.", rich_help_panel=KERAS)
    ] = False,
) -> None:
    """Publish a model: to ONNX, through the checks, into models/NAME/VERSION.

    A run that is not evaluated yet is evaluated first.

    A .keras file holds a functional model with outputs named prediction and attention, an input (batch, time, feature)
    and, where lengths differ, an int32 input named lengths.
    """
    from training.export import ExportError, read_model
    from training.publish import publish_model, publish_run
    from training.runs import METRICS_FILE
    from training.text.fit import is_pairs
    from training.text.publish import publish_text_run
    from training.versions import check_name

    try:
        check_name(name)
        if source.is_dir():
            if not (source / METRICS_FILE).exists():
                console.print(f"{source} is not evaluated yet: that comes first", soft_wrap=True)
                evaluate(source)
            publish = publish_text_run if is_pairs(source) else publish_run
            folder = publish(source, name, models, description)
        else:
            folder = publish_model(
                read_model(source),
                name,
                models,
                attention=not without_attention,
                task=task,
                labels=names(labels),
                features=names(features),
                time=time,
                description=description,
            )
    except (ExportError, ValueError, TypeError, OSError) as error:
        fail(error)
    console.print(f"published {folder}. Serve it: python -m service --models {models}", soft_wrap=True)


@cli.command()
def examples(
    only: Annotated[list[str] | None, typer.Argument(help="Names of models; without any, all.", metavar="NAME")] = None,
    models: ModelsFolder = Path("models"),
    runs: Annotated[Path, typer.Option(help="Folder for the run folders.")] = Path("runs"),
) -> None:
    """Fit, evaluate and publish the models committed under models/ (all: eight minutes on two cores).

    Several are made at the same time, one on each core; each has its log in the folder of the runs.
    """
    from training.card import CARD_FILE, index
    from training.examples import make_all
    from training.recipes import RECIPES

    known = [recipe.name for recipe in RECIPES]
    for name in only or []:
        if name not in known:
            fail(f"expected names out of {', '.join(known)}, received {name}")
    chosen = [recipe for recipe in RECIPES if not only or recipe.name in only]
    if len(chosen) == 1:
        _make(chosen[0], models, runs)
    else:
        failed = make_all([recipe.name for recipe in chosen], models, runs, console)
        if failed:
            fail("; ".join(f"{name} could not be made, see {log}" for name, log in failed.items()))
    (models / CARD_FILE).write_text(f"# Models\n\n{index(models)}")


def _make(recipe: "Recipe", models: Path, runs: Path) -> None:
    """Fits, evaluates and publishes a committed model."""
    from training.publish import publish_run
    from training.text.fit import DATES
    from training.text.publish import publish_text_run

    folder = runs / recipe.name
    is_text = recipe.data == DATES
    (fit_text if is_text else fit)(recipe.data, seeds=recipe.seeds, out=folder, **recipe.options)
    evaluate(folder)
    publish = publish_text_run if is_text else publish_run
    console.print(f"published {publish(folder, recipe.name, models, recipe.description)}")


@cli.command()
def tour(
    docs: Annotated[Path, typer.Option(help="Folder of attention.md.", file_okay=False)] = Path("docs"),
    models: ModelsFolder = Path("models"),
) -> None:
    """Draw the pictures of docs/attention.md again: every score and normalizer on the planted step (ten minutes)."""
    from training.tour import VARIANTS
    from training.tour import tour as draw

    with Progress() as progress:
        task = progress.add_task("variants", total=len(VARIANTS))
        try:
            draw(docs, models, lambda found: progress.advance(task))
        except (ValueError, OSError) as error:
            fail(error)


if __name__ == "__main__":
    cli()
