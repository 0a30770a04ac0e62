"""The options of `fit`, in the groups that `fit --help` shows, and a TOML file that may hold them."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from pydantic import ValidationError

MODEL, TRAINING, SEARCH = "Model", "Training", "Search"
PLANTED, TABLE, FORECAST = "Planted data", "A table of your own", "Forecast, from a long table of your own"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Makes the values of a TOML file the defaults of a command, read like those on the command line.

    Raises:
        typer.BadParameter: the file is not TOML, or holds a key that is not one of the command's options.
    """
    if path is None:
        return None
    try:
        found = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"expected TOML, received something else in {path}: {error}") from None
    known = [str(option.name) for option in context.command.params if option.param_type_name == "option"]
    known = [name for name in known if name not in {"config", "help"}]
    for key in found:
        if key not in known:
            raise typer.BadParameter(f"expected keys out of {', '.join(known)}, received {key} in {path}")
    context.default_map = {key: _as_typed(value) for key, value in found.items()}
    return path


def _as_typed(value: Any) -> str:
    """A value as one would type it: so 32.5 is refused for a whole number, and a list is separated by commas."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def seconds(text: str) -> float:
    """A duration such as 90s, 10m or 1.5h, in seconds.

    Raises:
        typer.BadParameter: it is something else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise typer.BadParameter(f"expected a time such as 90s, 10m or 1h, received {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def names(listed: str | None) -> list[str] | None:
    """The names in a comma-separated list."""
    return [name.strip() for name in listed.split(",")] if listed else None


def refuse_options(given: dict[str, Any], only: str, data: str) -> None:
    """Ends the command if options were given that the data have no use for."""
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        fail(f"expected {names} with {only} only, received {data}")


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


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


Data = Annotated[
    str,
    typer.Argument(
        help="planted, italy-power, japanese-vowels, tecator, or the path of a table of your own: .csv, .parquet, .npz."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="TOML file of these options: feature_columns = ['speed', 'load']; the command line wins.",
        callback=read_config,
        is_eager=True,
        exists=True,
        dir_okay=False,
    ),
]
Out = Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/DATA-POSITION")]

Position = Annotated[
    Literal["before", "after", "none"] | None,
    typer.Option(
        help="Attention before the LSTM (on inputs), after it (on states), or none.",
        show_default="before",
        rich_help_panel=MODEL,
    ),
]
Score = Annotated[
    Literal["dense", "local", "dot", "cosine", "additive", "general"] | None,
    typer.Option(help="How steps are scored.", show_default="dense", rich_help_panel=MODEL),
]
Normalizer = Annotated[
    Literal["softmax", "sum", "sparsemax"],
    typer.Option(help="How scores become weights.", rich_help_panel=MODEL),
]
PerFeature = Annotated[
    bool, typer.Option("--per-feature", help="One attention vector per feature.", rich_help_panel=MODEL)
]
Units = Annotated[
    int | None, typer.Option(help="Size of the LSTM's state.", min=1, show_default="32", rich_help_panel=MODEL)
]
Layers = Annotated[
    int | None, typer.Option(help="LSTMs on top of each other.", min=1, show_default="1", rich_help_panel=MODEL)
]
Bidirectional = Annotated[
    bool, typer.Option("--bidirectional", help="Also read sequences from their end.", rich_help_panel=MODEL)
]
Dropout = Annotated[
    float | None, typer.Option(help="Share of the head's inputs dropped in training.", rich_help_panel=MODEL)
]
Scaling = Annotated[
    Literal["training", "sequence"] | None,
    typer.Option(
        help="Standardize by the training split, or every sequence by itself.",
        show_default="training",
        rich_help_panel=MODEL,
    ),
]
InputNoise = Annotated[
    float | None, typer.Option(help="Noise on the standardized inputs, in training.", rich_help_panel=MODEL)
]
BlockNoise = Annotated[
    float | None, typer.Option(help="Noise behind a block before the LSTM, in training.", rich_help_panel=MODEL)
]

Epochs = Annotated[int | None, typer.Option(help="Epochs at most.", min=1, rich_help_panel=TRAINING)]
Keep = Annotated[
    Literal["best", "last"] | None,
    typer.Option(
        help="The epoch of the lowest validation loss, or the last: better where validation has few sequences.",
        show_default="best",
        rich_help_panel=TRAINING,
    ),
]
Patience = Annotated[
    int | None, typer.Option(help="Epochs without a better validation loss.", min=1, rich_help_panel=TRAINING)
]
BatchSize = Annotated[int | None, typer.Option(help="Sequences of a step.", min=1, rich_help_panel=TRAINING)]
LearningRate = Annotated[float | None, typer.Option(help="Of Adam.", rich_help_panel=TRAINING)]
Seeds = Annotated[
    int,
    typer.Option(
        help="Trainings, each with a seed of its own; quality is their mean.", min=1, rich_help_panel=TRAINING
    ),
]
FirstSeed = Annotated[
    int, typer.Option(help="The first seed; the others count on from it.", min=0, rich_help_panel=TRAINING)
]

Search = Annotated[
    float | None,
    typer.Option(
        help="Try model options that are not given for so long, as 90s, 10m or 1h, then fit the best.",
        parser=seconds,
        metavar="<time>",
        rich_help_panel=SEARCH,
    ),
]

N = Annotated[
    int | None,
    typer.Option(
        help="Sequences to fit on; a long one of one feature needs more, 60000 say.", min=5, rich_help_panel=PLANTED
    ),
]
TimeSteps = Annotated[int | None, typer.Option(help="Steps of a sequence.", min=1, rich_help_panel=PLANTED)]
Features = Annotated[int | None, typer.Option(help="Features of a step.", min=1, rich_help_panel=PLANTED)]
Step = Annotated[int | None, typer.Option(help="The step that decides, from 0.", min=0, rich_help_panel=PLANTED)]

Id = Annotated[
    str | None, typer.Option(help="Column of the sequence's name.", show_default="id", rich_help_panel=TABLE)
]
Time = Annotated[
    str | None,
    typer.Option(
        help="Column of numbers or dates to order by; without it, a row is a sequence.",
        show_default="time",
        rich_help_panel=TABLE,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(help="Column of what is to be predicted.", show_default="target", rich_help_panel=TABLE),
]
FeatureColumns = Annotated[
    str | None,
    typer.Option(help="Columns, comma-separated.", show_default="all other columns of numbers", rich_help_panel=TABLE),
]
Task = Annotated[
    Literal["binary", "multiclass", "regression"] | None,
    typer.Option(help="What is predicted.", show_default="told by the targets", rich_help_panel=TABLE),
]
TestShare = Annotated[
    float | None,
    typer.Option(help="Of all sequences, if no column split says it.", show_default="0.2", rich_help_panel=TABLE),
]
ValidationShare = Annotated[
    float | None,
    typer.Option(help="Of all sequences, if no column split says it.", show_default="0.2", rich_help_panel=TABLE),
]
Impute = Annotated[
    Literal["none", "zero", "mean", "last"] | None,
    typer.Option(
        help="What stands in for a missing value; none refuses it.", show_default="none", rich_help_panel=TABLE
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        help="Megabytes a Parquet table may take; a larger one is streamed.",
        min=0,
        show_default="500",
        rich_help_panel=TABLE,
    ),
]

Horizon = Annotated[
    int | None,
    typer.Option(help="Predict so many next values of the target column.", min=1, rich_help_panel=FORECAST),
]
Window = Annotated[
    int | None,
    typer.Option(help="From so many steps.", min=1, rich_help_panel=FORECAST),
]
Stride = Annotated[
    int | None,
    typer.Option(help="Steps from one window to the next.", min=1, show_default="1", rich_help_panel=FORECAST),
]
