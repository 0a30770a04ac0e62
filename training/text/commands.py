"""python -m training fit-text."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from training import options
from training.options import fail, given, refuse_options

DATA, PAIRS = "Dates", "Own pairs"


def fit_text(
    data: Annotated[str, typer.Argument(help="dates, or the path of pairs of your own: .csv, .parquet.")],
    config: options.Config = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/DATA")] = None,
    score: Annotated[
        Literal["dot", "cosine", "additive", "general"],
        typer.Option(help="How encoder states are scored.", rich_help_panel=options.MODEL),
    ] = "general",
    normalizer: options.Normalizer = "softmax",
    units: Annotated[int, typer.Option(help="Size of the encoder's state.", rich_help_panel=options.MODEL, min=1)] = 64,
    embedding: Annotated[
        int, typer.Option(help="Size of a character's vector.", rich_help_panel=options.MODEL, min=1)
    ] = 32,
    layers: Annotated[
        int, typer.Option(help="Encoder LSTMs on top of each other.", rich_help_panel=options.MODEL, min=1)
    ] = 1,
    bidirectional: options.Bidirectional = False,
    dropout: Annotated[
        float, typer.Option(help="Share of the attentional state dropped in training.", rich_help_panel=options.MODEL)
    ] = 0.0,
    unknown: Annotated[
        float, typer.Option(help="Share of characters made unknown in training.", rich_help_panel=options.TRAINING)
    ] = 0.01,
    epochs: Annotated[int, typer.Option(help="Epochs at most.", rich_help_panel=options.TRAINING, min=1)] = 10,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better validation loss.", rich_help_panel=options.TRAINING, min=1)
    ] = 4,
    batch_size: Annotated[int, typer.Option(min=1, rich_help_panel=options.TRAINING)] = 64,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.", rich_help_panel=options.TRAINING)] = 0.003,
    seeds: options.Seeds = 1,
    first_seed: options.FirstSeed = 0,
    n: Annotated[int | None, typer.Option(help="Pairs to fit on.", min=1, rich_help_panel=DATA)] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Column of the texts to read.", show_default="source", rich_help_panel=PAIRS),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column of the texts to write.", show_default="target", rich_help_panel=PAIRS),
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Of all pairs.", show_default="0.1", rich_help_panel=PAIRS)
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="Of all pairs.", show_default="0.1", rich_help_panel=PAIRS)
    ] = None,
) -> None:
    """Fit an encoder-decoder on pairs of texts, with attention over the input at every character of the answer.

    Pairs of your own are a table with a column of texts to read and one of texts to write. A column split with train,
    validation or test decides which is which.
    """
    from training.runs import FitConfig
    from training.text.fit import DATES, fit_pairs
    from training.text.models import EncoderDecoderConfig
    from training.text.pairs import PairsOptions

    columns = given(source=source, target=target, test_share=test_share, validation_share=validation_share)
    made = given(n=n)
    if data == DATES:
        refuse_options(columns, "pairs of your own", data)
    else:
        refuse_options(made, DATES, data)
    folder = out or Path("runs") / (DATES if data == DATES else Path(data).stem)
    try:
        how = FitConfig(epochs=epochs, patience=patience, batch_size=batch_size, learning_rate=learning_rate)
        model = EncoderDecoderConfig(
            score=score,
            normalizer=normalizer,
            units=units,
            embedding=embedding,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
            unknown=unknown,
        )
        reading = made if data == DATES else PairsOptions(**columns)
        run = fit_pairs(data, reading, model, how, list(range(first_seed, first_seed + seeds)), folder)
    except (ValueError, OSError) as error:
        fail(error)
    losses = ", ".join(f"{loss:.5f}" for loss in run.validation_loss.values())
    Console().print(f"{folder}: validation loss {losses}; seed {run.chosen} chosen. Next: evaluate {folder}")
