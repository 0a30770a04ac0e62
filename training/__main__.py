"""python -m training: fit, evaluate, export."""

from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

# TensorFlow takes seconds to import: commands import what needs it, so that --help does not.

cli = typer.Typer(
    help="Train attention-LSTMs and publish them for the service.\n\nfit → evaluate → export, each from the folder "
    "that the one before wrote; or `examples` for all the committed models.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
console = Console()

ModelsFolder = Annotated[Path, typer.Option("--models", help="Folder of published models.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder that `fit` wrote.", exists=True, file_okay=False)]


@cli.command()
def fit(
    data: Annotated[
        str,
        typer.Argument(
            help="planted, italy-power, japanese-vowels, or the path of a table of your own: .csv, .parquet, .npz."
        ),
    ],
    position: Annotated[
        Literal["before", "after", "none"],
        typer.Option(help="Attention before the LSTM (on inputs), after it (on states), or none."),
    ] = "before",
    score: Annotated[
        Literal["dense", "dot", "cosine", "additive", "general"], typer.Option(help="How steps are scored.")
    ] = "dense",
    normalizer: Annotated[
        Literal["softmax", "sum", "sparsemax"], typer.Option(help="How scores become weights.")
    ] = "softmax",
    per_feature: Annotated[bool, typer.Option("--per-feature", help="One attention vector per feature.")] = False,
    units: Annotated[int, typer.Option(help="Size of the LSTM's state.", min=1)] = 32,
    layers: Annotated[int, typer.Option(help="LSTMs on top of each other.", min=1)] = 1,
    bidirectional: Annotated[bool, typer.Option("--bidirectional", help="Also read sequences from their end.")] = False,
    dropout: Annotated[float | None, typer.Option(help="Share of the head's inputs dropped in training.")] = None,
    input_noise: Annotated[float | None, typer.Option(help="Noise on the standardized inputs, in training.")] = None,
    block_noise: Annotated[
        float | None, typer.Option(help="Noise behind a block before the LSTM, in training.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs at most.", min=1)] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without a better validation loss.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings, seeds 0, 1, ...; quality is their mean.", min=1)] = 1,
    n: Annotated[
        int | None,
        typer.Option(help="planted: sequences to fit on; a long one of one feature needs more, 60000 say.", min=5),
    ] = None,
    time_steps: Annotated[int | None, typer.Option(help="planted: steps of a sequence.", min=1)] = None,
    features: Annotated[int | None, typer.Option(help="planted: features of a step.", min=1)] = None,
    step: Annotated[int | None, typer.Option(help="planted: the step that decides, from 0.", min=0)] = None,
    id: Annotated[str | None, typer.Option(help="Own table: column of the sequence's name.", show_default="id")] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Own table: column of numbers or dates to order by; without it, a row is a sequence.",
            show_default="time",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Own table: column of what is to be predicted.", show_default="target")
    ] = None,
    feature_columns: Annotated[
        str | None,
        typer.Option(help="Own table: columns, comma-separated.", show_default="all other columns of numbers"),
    ] = None,
    task: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help="Own table: what is predicted.", show_default="told by the targets"),
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Own table: of all sequences, if no column split says it.", show_default="0.2")
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="Own table: of all sequences, if no column split says it.", show_default="0.2")
    ] = None,
    impute: Annotated[
        Literal["none", "zero", "mean", "last"] | None,
        typer.Option(help="Own table: what stands in for a missing value; none refuses it.", show_default="none"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/DATA-POSITION")] = None,
) -> None:
    """Fit a model on a data set, and keep the epoch with the lowest validation loss.

    What is not given is taken from the settings found to work for the data set.

    A table of your own is long, a row for each time step (columns id, time, target, and features), or wide, a row for
    each sequence (columns target and one for each step), or an .npz of arrays sequences (n, time, feature), targets
    (n,) and, where they differ, lengths (n,). A column split with train, validation or test decides which is which.
    """
    from training.datasets import BUILT_IN
    from training.fit import FitConfig
    from training.fit import fit as fit_run
    from training.models import ModelConfig
    from training.recipes import SETTINGS, Settings
    from training.tables import TableOptions

    planted = _given(n=n, time_steps=time_steps, features=features, step=step)
    table = _given(
        id=id,
        time=time,
        target=target,
        feature_columns=_names(feature_columns),
        task=task,
        test_share=test_share,
        validation_share=validation_share,
        impute=impute,
    )
    if data != "planted":
        _refuse_options(planted, "planted", data)
    if data in BUILT_IN:
        _refuse_options(table, "a table of your own", data)
    own = Settings(FitConfig(epochs=100, patience=20, batch_size=32, learning_rate=0.003), input_noise=0.1)
    settings = SETTINGS.get(data, own)
    changes = _given(epochs=epochs, patience=patience, batch_size=batch_size, learning_rate=learning_rate)
    default_block_noise = settings.block_noise if position == "before" else 0.0
    folder = out or Path("runs") / f"{data if data in BUILT_IN else Path(data).stem}-{position}"
    try:
        config = FitConfig(**settings.fit.model_dump() | changes)
        model = ModelConfig(
            position=position,
            score=score,
            normalizer=normalizer,
            per_feature=per_feature,
            units=units,
            layers=layers,
            bidirectional=bidirectional,
            dropout=settings.dropout if dropout is None else dropout,
            input_noise=settings.input_noise if input_noise is None else input_noise,
            block_noise=default_block_noise if block_noise is None else block_noise,
        )
        options = planted if data in BUILT_IN else TableOptions(**table)
        run = fit_run(data, options, model, config, list(range(seeds)), folder)
    except (ValueError, OSError) as error:
        fail(error)
    losses = ", ".join(f"{loss:.4f}" for loss in run.validation_loss.values())
    console.print(
        f"{folder}: validation loss {losses}; seed {run.chosen} chosen. Next: evaluate {folder}", soft_wrap=True
    )


@cli.command()
def evaluate(run: RunFolder) -> None:
    """Judge a run on the test part of its data, and write metrics.json."""
    from training.evaluate import evaluate as evaluate_run

    try:
        metrics = evaluate_run(run)
    except (ValueError, OSError) as error:
        fail(error)
    quality = metrics.quality
    table = Table("seed", quality.metric, "top weight on the true step", "mean weight there")
    for seed, value in quality.seeds.items():
        on_step = (metrics.attention_on_step or {}).get(seed)
        weights = (f"{on_step['top']:.1%}", f"{on_step['mean_weight']:.2f}") if on_step else ("", "")
        table.add_row(str(seed), f"{value:.4f}", *weights)
    console.print(table)
    if metrics.faithfulness is not None:
        console.print(f"weights as an explanation: {metrics.faithfulness.verdict}")
    console.print(f"mean {quality.mean:.4f} ± {quality.spread:.4f}. Next: export {run} --name NAME", soft_wrap=True)


@cli.command()
def export(
    source: Annotated[Path, typer.Argument(help="An evaluated run folder, or a .keras file of your own.", exists=True)],
    name: Annotated[str, typer.Option(help="Name of the model: a-z, 0-9, - and _.")],
    models: ModelsFolder = Path("models"),
    description: Annotated[str, typer.Option(help="One sentence for people.")] = "",
    task: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help=".keras: what it predicts; default: by its last activation."),
    ] = None,
    labels: Annotated[str | None, typer.Option(help=".keras: class names, comma-separated.")] = None,
    features: Annotated[str | None, typer.Option(help=".keras: feature names, comma-separated.")] = None,
    time: Annotated[int | None, typer.Option(help=".keras: steps it takes, where its input does not say.")] = None,
    without_attention: Annotated[
        bool, typer.Option("--without-attention", help=".keras: it has no attention.")
    ] = False,
) -> None:
    """Publish a model: to ONNX, through the checks, into models/NAME/VERSION.

    A .keras file holds a functional model with outputs named prediction and attention, an input (batch, time, feature)
    and, where lengths differ, an int32 input named lengths.
    """
    import keras

    from training.export import ExportError
    from training.publish import publish_model, publish_run

    try:
        if source.is_dir():
            folder = publish_run(source, name, models, description)
        else:
            folder = publish_model(
                keras.saving.load_model(source, compile=False),
                name,
                models,
                attention=not without_attention,
                task=task,
                labels=_names(labels),
                features=_names(features),
                time=time,
                description=description,
            )
    except (ExportError, ValueError, TypeError, OSError) as error:
        fail(error)
    console.print(f"published {folder}. Serve it: python -m service --models {models}", soft_wrap=True)


@cli.command()
def examples(
    models: ModelsFolder = Path("models"),
    runs: Annotated[Path, typer.Option(help="Folder for the run folders.")] = Path("runs"),
) -> None:
    """Fit, evaluate and publish every model committed under models/ (about five minutes on two cores)."""
    from training.publish import publish_run
    from training.recipes import RECIPES

    for recipe in RECIPES:
        folder = runs / recipe.name
        fit(recipe.data, seeds=recipe.seeds, out=folder, **recipe.options)
        evaluate(folder)
        console.print(f"published {publish_run(folder, recipe.name, models, recipe.description)}")


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse_options(given: dict[str, Any], only: str, data: str) -> None:
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        fail(f"expected {names} with {only} only, received {data}")


def _names(listed: str | None) -> list[str] | None:
    return [name.strip() for name in listed.split(",")] if listed else None


def fail(error: Exception | str) -> NoReturn:
    """Ends the command with a sentence instead of a traceback."""
    message = str(error)
    if isinstance(error, ValidationError):
        message = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": Value error, ")
            for fault in error.errors(include_url=False)
        )
    typer.secho("error: ", fg="red", nl=False, err=True)
    typer.echo(message, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    cli()
